/** Selects the page: the login until there is a session, then by path. */
import { useEffect, useErrorBoundary } from 'preact/hooks';
import { LocationProvider, Route, Router } from 'preact-iso';
import type { Me } from '../../api/schemas.ts';
import type { ApiError } from './api/client.ts';
import { useSession } from './api/session.ts';
import { Layout, PageHead } from './components/layout.tsx';
import { Loading } from './components/loading.tsx';
import { ApiProblem } from './components/problem.tsx';
import { AppLogPage } from './routes/app-log.tsx';
import { DeploymentPage } from './routes/deployment.tsx';
import { HostsPage } from './routes/hosts.tsx';
import { LoginDialog, LoginPage } from './routes/login.tsx';
import { ProjectPage } from './routes/project.tsx';
import { ProjectsPage } from './routes/projects.tsx';

/** Pause between attempts to reach the hub, ms. */
const RETRY_MS = 5000;

export function App() {
  const state = useSession().state.value;
  const [broken] = useErrorBoundary((error: unknown) => console.error(error));
  if (broken) return <Broken />;
  if (state.kind === 'unknown') return <Loading />;
  if (state.kind === 'out') return <LoginPage />;
  if (state.kind === 'unreachable') return <Unreachable error={state.error} />;
  const { me, ended } = state;
  return (
    <>
      {/* Another user or team gets new pages. */}
      <Pages key={`${me.user.id} ${me.team.id}`} me={me} />
      {ended && <LoginDialog />}
    </>
  );
}

function Unreachable({ error }: { error: ApiError }) {
  const { find } = useSession();
  useEffect(() => {
    const timer = setInterval(() => void find(), RETRY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <main class="page page-narrow">
      <ApiProblem error={error} />
      <p class="faint">Retrying every few seconds.</p>
      <button type="button" class="button" onClick={() => void find()}>
        Try again now
      </button>
    </main>
  );
}

/** A bug of ours, or a hub whose version differs from that of this page. */
function Broken() {
  return (
    <main class="page page-narrow">
      <p class="card error" role="alert">
        This page cannot be shown. The hub may have been upgraded since it was opened.
      </p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Reload
      </button>
    </main>
  );
}

function Pages({ me }: { me: Me }) {
  return (
    <LocationProvider>
      <Layout me={me}>
        <Router>
          <Route path="/" component={ProjectsPage} />
          <Route path="/projects/:project" component={ProjectPage} />
          <Route path="/projects/:project/environments/:environment/logs" component={AppLogPage} />
          <Route path="/deployments/:deployment" component={DeploymentPage} />
          <Route path="/hosts" component={HostsPage} />
          <Route default component={NotFound} />
        </Router>
      </Layout>
    </LocationProvider>
  );
}

function NotFound() {
  return (
    <>
      <PageHead title="Nothing here" />
      <p>
        There is no page at this address. <a href="/">All projects</a>
      </p>
    </>
  );
}
