/**
 * The agent's own small API on a unix socket (0600), for its CLI on the same host.
 *
 *   GET    /v1/status            → StatusReport
 *   GET    /v1/agent             → AgentView, at once: it queries neither engine nor proxy
 *   GET    /v1/environments      → { "<environment id>": "<project>/<environment>" }
 *   DELETE /v1/environments/:id  → Ordered: begins its removal, or returns the one in progress
 *   GET    /v1/removals/:id      → Removal
 *
 * An error is a problem document.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { toErrorReport, toProblem } from '../../protocol/errors.ts';
import type { LocalRemovals } from '../deployment/local-removals.ts';
import type { AgentView } from './agent-view.ts';
import { ANSWER_HEADER, ANSWER_MS } from './status-report.ts';
import type { StatusReport } from './status-report.ts';

/** Provides the responses of the API. */
export interface LocalAnswers {
  /** @param answerMs how long to wait for a part that may not answer */
  readonly status: (answerMs: number) => Promise<StatusReport>;
  readonly agent: () => AgentView;
  /** Environment id → `project/environment`, for live environments. */
  readonly environments: () => ReadonlyMap<string, string>;
  readonly removals: LocalRemovals;
}

interface Asked {
  readonly answerMs: number;
  /** Id in the path; '' if there is none. */
  readonly id: string;
}

const ANSWERS: Readonly<Record<string, (answers: LocalAnswers, asked: Asked) => Promise<unknown>>> = {
  'GET /v1/status': ({ status }, { answerMs }) => status(answerMs),
  'GET /v1/agent': async ({ agent }) => agent(),
  'GET /v1/environments': async ({ environments }) => Object.fromEntries(environments()),
  'DELETE /v1/environments/:id': async ({ removals }, { id }) => ({ removalId: await removals.begin(id) }),
  'GET /v1/removals/:id': async ({ removals }, { id }) => removals.status(id),
};

const ID_AT_END = /(?<=\/)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface LocalApi {
  close(): Promise<void>;
}

/** Call only while holding the state lock: an existing socket file is then a dead agent's. */
export async function serveLocalApi(socketPath: string, answers: LocalAnswers): Promise<LocalApi> {
  const server = createServer((request, response) => {
    const answer = (code: number, body: unknown): void => {
      response.writeHead(code, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    };
    const { method = '', url = '' } = request;
    const work = ANSWERS[`${method} ${url.replace(ID_AT_END, ':id')}`];
    if (work === undefined) return answer(404, { error: Object.keys(ANSWERS).join(', ') });
    const answerMs = Number(request.headers[ANSWER_HEADER]) || ANSWER_MS;
    work(answers, { answerMs, id: ID_AT_END.exec(url)?.[0] ?? '' }).then(
      (report) => answer(200, report),
      (error: unknown) => {
        const problem = toProblem(toErrorReport(error));
        answer(problem.status, problem);
      },
    );
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  server.maxConnections = 20;
  rmSync(socketPath, { force: true });
  await listenPrivately(server, socketPath);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The socket is never open to other users, not even for the moment between bind and chmod. */
function listenPrivately(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o177);
    try {
      server.listen(socketPath, () => resolve()); // binds before it returns
    } finally {
      process.umask(mask);
    }
  });
}
