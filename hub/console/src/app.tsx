/** Which page is shown: the login until the hub knows the browser, then what the path says. */
import { LocationProvider, Route, Router } from 'preact-iso';
import type { Me } from '../../api/schemas.ts';
import { useSession } from './api/session.ts';
import { Layout, PageHead } from './components/layout.tsx';
import { ApiProblem } from './components/problem.tsx';
import { DeploymentPage } from './routes/deployment.tsx';
import { HostsPage } from './routes/hosts.tsx';
import { LoginPage } from './routes/login.tsx';
import { ProjectPage } from './routes/project.tsx';
import { ProjectsPage } from './routes/projects.tsx';

export function App() {
  const session = useSession();
  const state = session.state.value;
  if (state.kind === 'unknown') return null;
  if (state.kind === 'out') return <LoginPage />;
  if (state.kind === 'in') return <Pages me={state.me} />;
  return (
    <main class="page page-narrow">
      <ApiProblem error={state.error} />
      <button type="button" class="button" onClick={() => void session.find()}>
        Try again
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
        No page has this address. <a href="/">All projects</a>
      </p>
    </>
  );
}
