/** The live log of an environment's app. */
import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { apiPath } from '../../../api/paths.ts';
import { apiUrl } from '../api/client.ts';
import { useSession, useSessionEnded } from '../api/session.ts';
import { makeAppLogView } from '../app-log/store.ts';
import type { AppLogView } from '../app-log/store.ts';
import { PageHead } from '../components/layout.tsx';
import { ApiProblem } from '../components/problem.tsx';
import { LogView } from '../log/log-view.tsx';

/** Lines in the download: the hub's maximum. */
const DOWNLOAD_LINES = 10_000;

export function AppLogPage() {
  const { params } = useRoute();
  const [project = '', environment = ''] = [params.project, params.environment];
  const path = apiPath('projects', project, 'environments', environment, 'app-log');
  return (
    <>
      <PageHead
        title={`Logs of ${environment}`}
        tab={`logs · ${project} ${environment}`}
        trail={
          <>
            <a href="/">Projects</a> <a href={`/projects/${project}`}>{project}</a>{' '}
            <a href={`/projects/${project}#${environment}`}>{environment}</a>
          </>
        }
      />
      <AppLog key={path} path={path} name={`${project}-${environment}`} />
    </>
  );
}

function AppLog({ path, name }: { path: string; name: string }) {
  const [view] = useState(() => makeAppLogView(path));
  const { end } = useSession();
  const ended = useSessionEnded();
  useEffect(() => (ended ? undefined : view.follow()), [ended]);
  const error = view.error.value;
  const isOut = error?.status === 401;
  useEffect(() => {
    if (isOut) end();
  }, [isOut]);
  const state = view.state.value;
  return (
    <>
      <ApiProblem error={isOut ? undefined : error} />
      <section class="panel card" aria-labelledby="app-log-title">
        <header class="panel-head">
          <h2 id="app-log-title">stdout and stderr</h2>
          <span class="faint" role="status">
            {STATES[state]}
          </span>
          <a class="download" href={apiUrl(`${path}?tail=${DOWNLOAD_LINES}`)} download={`${name}.log`}>
            Download log
          </a>
        </header>
        <LogView
          buffer={view.buffer}
          version={view.version}
          running={state === 'live'}
          label={`Log of ${name}`}
          download={DOWNLOAD_LINES}
        />
      </section>
    </>
  );
}

const STATES: Readonly<Record<AppLogView['state']['value'], string>> = {
  connecting: 'connecting …',
  live: 'live',
  lost: 'the connection is lost; trying again',
  ended: 'nothing is live here any more',
};
