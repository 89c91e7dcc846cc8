/** For tests: responses of a hub about one project, deployment and host. */
import { Settings } from '../../protocol/job.ts';
import type { Deployment, DeploymentEvent, Environment, Project, Step } from '../api/schemas.ts';

const ID = '01890000-0000-7000-8000-00000000000';
export const IDS = { project: `${ID}1`, environment: `${ID}2`, deployment: `${ID}3`, older: `${ID}4`, host: `${ID}5` };

export const AT = '2030-01-01T00:00:00.000Z';

export const sampleDeployment = (change: Partial<Deployment> = {}): Deployment => ({
  id: IDS.deployment,
  project: { id: IDS.project, slug: 'shop' },
  environment: { id: IDS.environment, slug: 'production' },
  kind: 'deploy',
  trigger: 'manual',
  status: 'running',
  generation: 1,
  commit: 'a'.repeat(40),
  branch: 'main',
  releaseOf: null,
  variables: 'current',
  detailsKept: true,
  cancelRequested: false,
  replacedBy: null,
  error: null,
  urls: ['http://shop.localhost:8080/'],
  consoleUrl: 'http://hub.invalid/deployments/1',
  createdAt: AT,
  startedAt: AT,
  finishedAt: null,
  ...change,
});

export const stepEvent = (change: Partial<Step> & Pick<Step, 'name' | 'status'>): DeploymentEvent => ({
  kind: 'step',
  step: { startedAt: AT, ms: null, note: null, output: null, error: null, ...change },
});

export const logEvent = (step: Step['name'], offset: number, log: string): DeploymentEvent => ({
  kind: 'log',
  step,
  offset,
  data: Buffer.from(log).toString('base64'),
});

export const statusEvent = (change: Partial<Deployment>): DeploymentEvent => ({
  kind: 'status',
  deployment: sampleDeployment(change),
});

/** The hub's response about the project `shop` and its only environment. */
export const environment: Environment = {
  id: IDS.environment,
  slug: 'production',
  branch: 'main',
  hostId: IDS.host,
  settings: Settings.parse({}),
  edge: { state: 'active', error: null },
  certificates: [],
  urls: ['http://shop.localhost:8080/'],
  liveDeploymentId: null,
  down: null,
  latestDeployment: null,
  createdAt: AT,
};

export const project: Project = {
  id: IDS.project,
  slug: 'shop',
  origin: 'hub',
  repositoryUrl: null,
  hasRepositoryToken: false,
  gitRemote: 'http://hub.invalid/git/shop.git',
  environments: [environment],
  createdAt: AT,
};

export const ENVIRONMENT = '/projects/shop/environments/production';
export const DEPLOYMENTS = `${ENVIRONMENT}/deployments`;
export const EVENTS = `GET /deployments/${IDS.deployment}/events`;
export const SHOP = ['--project', 'shop'];

const clone = { commit: 'a'.repeat(40), subject: 'Add greeting', author: 'Ada', files: 3, bytes: 100 };
/** A successful deployment as events for a follower. */
export const liveEvents: DeploymentEvent[] = [
  statusEvent({}),
  stepEvent({ name: 'clone', status: 'running' }),
  stepEvent({ name: 'clone', status: 'done', ms: 412, output: clone }),
  stepEvent({ name: 'build', status: 'running' }),
  logEvent('build', 0, 'step 1\n10%\r50%'),
  logEvent('build', 14, '\r100%\nlast'),
  stepEvent({ name: 'build', status: 'done', ms: 12_345 }),
  statusEvent({ status: 'live', finishedAt: '2030-01-01T00:00:15.500Z' }),
  { kind: 'end', status: 'live' },
];

/** A host that waits for its agent. */
export const host = {
  id: IDS.host,
  name: 'vps 1',
  enrolled: false,
  online: false,
  lastSeenAt: null,
  agentVersion: null,
  upgradeTo: null,
  refusal: null,
  status: null,
};
