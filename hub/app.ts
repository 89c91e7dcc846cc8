/** The hub's HTTP side: builds one Fastify instance from its dependencies, without listening. */
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
import { registerCli } from './api/cli.ts';
import { registerConsole } from './api/console.ts';
import { registerDeployments } from './api/deployments.ts';
import { registerDistribution } from './api/distribution.ts';
import { registerDocs } from './api/docs.ts';
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
import { API_PREFIX } from './api/paths.ts';
import { registerSession } from './api/session.ts';
import { registerTokens } from './api/tokens.ts';
import { requestValidator } from './api/unknown-fields.ts';
import { registerUpgrades } from './api/upgrades.ts';
import { registerVariables } from './api/variables.ts';
import { registerAuth } from './auth/hook.ts';
import type { HubApp, HubDeps } from './deps.ts';
import { DEADLINE_MS } from './git/backend.ts';

/** Largest JSON body, bytes. Git pushes bypass this limit. */
const BODY_LIMIT = 524_288;
const HEADERS_TIMEOUT_MS = 15_000;
/** Limit for a whole request, ms. Longer than the deadline of git transfers, which thus ends a slow push first. */
const REQUEST_TIMEOUT_MS = DEADLINE_MS + 60_000;

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

/** Files that the hub serves beside its API; each may be absent. */
export interface ServedFiles {
  readonly consoleFolder: string;
  readonly docsFolder: string;
  /** The CLI as one program. */
  readonly cliFile: string;
}

export async function buildApp(deps: HubDeps, { consoleFolder, docsFolder, cliFile }: ServedFiles): Promise<HubApp> {
  const loggerInstance: FastifyBaseLogger = deps.log;
  const app: HubApp = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: answerUnroutable,
    bodyLimit: BODY_LIMIT,
    trustProxy: [...deps.config.trusted],
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
  registerAuth(app, deps, API_PREFIX);
  registerHealth(app, deps);
  registerDistribution(app, deps);
  registerCli(app, cliFile);
  await app.register(
    (api, _options, done) => {
      for (const register of RESOURCES) register(api, deps);
      done();
    },
    { prefix: API_PREFIX },
  );
  await registerDocs(app, docsFolder);
  await registerConsole(app, consoleFolder);
  return app;
}

/**
 * Git requests and agent links bypass Fastify: git bodies are streams of any size, and agent links become WebSockets.
 */
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
    // Node no longer applies its timeouts to an upgraded connection, so close it here, whatever the client does.
    else socket.end(NOTHING_TO_UPGRADE, () => socket.destroy());
  });
  return server;
}

/** The console loads nothing from other origins, runs no inline scripts and cannot be framed. */
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
    // Only with TLS: otherwise browsers would refuse the plain-HTTP hub afterwards. Subdomains are excluded: they
    // belong to apps, and an app without a certificate would be unreachable for a year.
    strictTransportSecurity: isHttps && { includeSubDomains: false },
  });
}

/** One line per request, without query, headers and body, which may hold secrets. */
function logRequests(app: HubApp): void {
  app.addHook('onResponse', (request, reply, done) => {
    const path = request.url.split('?', 1)[0];
    const ms = Math.round(reply.elapsedTime);
    request.log.debug({ method: request.method, path, status: reply.statusCode, ms }, 'answered');
    done();
  });
}
