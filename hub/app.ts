/** The hub's HTTP side: one Fastify instance built from what it needs. It does not listen yet. */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AGENT_LINK_PATH } from '../protocol/agent-link.ts';
import { registerAccess } from './api/access.ts';
import { registerAppLog } from './api/app-log.ts';
import { registerDeployments } from './api/deployments.ts';
import { registerEnrol } from './api/enrol.ts';
import { registerEnvironments } from './api/environments.ts';
import { registerEvents } from './api/events.ts';
import { registerHealth } from './api/health.ts';
import { registerHosts } from './api/hosts.ts';
import { registerLogs } from './api/logs.ts';
import { registerMe } from './api/me.ts';
import { registerOpenApi } from './api/openapi.ts';
import { registerOverview } from './api/overview.ts';
import { answerUnroutable, registerProblems } from './api/problem.ts';
import { registerProjects } from './api/projects.ts';
import { registerReceivers } from './api/receivers.ts';
import { registerRegistries } from './api/registries.ts';
import { registerRateLimit } from './api/rate-limit.ts';
import { registerReleases } from './api/releases.ts';
import { registerCli } from './api/cli.ts';
import { API_PREFIX } from './api/schemas.ts';
import { registerSession } from './api/session.ts';
import { registerTokens } from './api/tokens.ts';
import { requestValidator } from './api/unknown-fields.ts';
import { registerUpgrades } from './api/upgrades.ts';
import { registerVariables } from './api/variables.ts';
import { registerAuth } from './auth/hook.ts';
import { registerConsole } from './console-files.ts';
import type { HubApp, HubDeps } from './deps.ts';

/** Largest JSON body, bytes. Git pushes do not pass here. */
const BODY_LIMIT = 524_288;
const HEADERS_TIMEOUT_MS = 15_000;
/** For a whole request: a large push over a slow line takes its time. */
const REQUEST_TIMEOUT_MS = 30 * 60_000;

const NOTHING_TO_UPGRADE = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Each resource of the API is one file and one line here. */
const RESOURCES: ReadonlyArray<(app: HubApp, deps: HubDeps) => void> = [
  registerSession,
  registerMe,
  registerTokens,
  registerHosts,
  registerUpgrades,
  registerEnrol,
  registerProjects,
  registerOverview,
  registerEnvironments,
  registerAccess,
  registerVariables,
  registerAppLog,
  registerRegistries,
  registerReceivers,
  registerDeployments,
  registerLogs,
  registerEvents,
];

/** What builds made for the hub to hand out; each may be absent. */
export interface MadeFiles {
  readonly consoleFolder: string;
  /** The CLI as one program. */
  readonly cliFile: string;
}

export async function buildApp(deps: HubDeps, { consoleFolder, cliFile }: MadeFiles): Promise<HubApp> {
  const loggerInstance: FastifyBaseLogger = deps.log;
  const app: HubApp = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: answerUnroutable,
    bodyLimit: BODY_LIMIT,
    // Only a proxy on this machine may say whom it asks for.
    trustProxy: 'loopback',
    serverFactory: (handler) => makeServer(deps, handler),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(requestValidator);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser('text/plain');
  registerProblems(app);
  logRequests(app);
  await registerHelmet(app, deps);
  await app.register(cookie);
  await registerRateLimit(app);
  await registerOpenApi(app);
  registerAuth(app, deps);
  registerHealth(app, deps);
  registerReleases(app, deps);
  registerCli(app, cliFile);
  await app.register(
    (api, _options, done) => {
      for (const register of RESOURCES) register(api, deps);
      done();
    },
    { prefix: API_PREFIX },
  );
  await registerConsole(app, consoleFolder);
  return app;
}

/** Git requests and agent links go past Fastify: the ones are streams of any size, the others are no requests for long. */
function makeServer({ git, agents, log }: HubDeps, handler: RequestListener): Server {
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      if (request.url?.startsWith('/git/')) git.handle(request, response);
      else handler(request, response);
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    socket.on('error', (error) => log.debug({ err: error }, 'upgraded connection failed'));
    if (request.url?.split('?', 1)[0] === AGENT_LINK_PATH) agents.upgrade(request, socket, head);
    // Node watches over an upgraded connection no more: it ends here, whatever the other side does.
    else socket.end(NOTHING_TO_UPGRADE, () => socket.destroy());
  });
  return server;
}

/** Nothing is loaded from elsewhere, nothing inline runs, no page frames the console. */
async function registerHelmet(app: HubApp, { config }: HubDeps): Promise<void> {
  const isHttps = config.publicUrl?.startsWith('https:') ?? false;
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        manifestSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    // Only where there is TLS: a browser would refuse the plain hub from then on.
    strictTransportSecurity: isHttps,
  });
}

/** One line per request, without its query, headers and body: they may hold secrets. */
function logRequests(app: HubApp): void {
  app.addHook('onResponse', (request, reply, done) => {
    const path = request.url.split('?', 1)[0];
    const ms = Math.round(reply.elapsedTime);
    request.log.debug({ method: request.method, path, status: reply.statusCode, ms }, 'answered');
    done();
  });
}
