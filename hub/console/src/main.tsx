/** The console: creates the session and mounts the application. */
import { render } from 'preact';
import { SessionContext, makeSession } from './api/session.ts';
import { App } from './app.tsx';
import './style/tokens.css';
import './style/base.css';
import './style/layout.css';
import './style/parts.css';
import './style/deployment.css';
import './style/log.css';

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no element #app');
const session = makeSession();
render(
  <SessionContext.Provider value={session}>
    <App />
  </SessionContext.Provider>,
  root,
);
void session.find();
