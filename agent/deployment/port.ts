/** Chooses the port that an app is to listen on, and says where the choice comes from. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { Port } from '../../protocol/ids.ts';
import type { BuildPlan, HealthReport, Image, Listener, Target } from '../../protocol/steps.ts';
import { isLoopback } from './diagnosis.ts';

const DEFAULT_PORT = 8080;

/** The `from` of a port that an earlier deployment found. */
const FOUND_EARLIER = 'found at an earlier deployment';

interface ChosenPort {
  readonly value: number;
  /** For people, shown with the target and in errors. */
  readonly from: string;
  /** Nobody set it: if the app opens exactly one other port, that one is meant. */
  readonly guessed: boolean;
}

/**
 * The port that the environment asks for: its variable PORT (which the app reads in any case), or else its setting.
 * @throws OrkestrError ORK_INVALID if PORT is not a port number
 */
export function askedPort(job: Pick<ReleaseJob, 'env' | 'settings'>): Omit<ChosenPort, 'guessed'> | undefined {
  const { PORT: variable } = job.env;
  if (variable !== undefined) {
    const parsed = Port.safeParse(/^\d{1,5}$/.test(variable) ? Number(variable) : Number.NaN);
    if (parsed.success) return { value: parsed.data, from: 'environment variable PORT' };
    throw new OrkestrError('ORK_INVALID', 'The environment variable PORT must be a number from 1 to 65535.');
  }
  return job.settings.port === undefined ? undefined : { value: job.settings.port, from: 'environment setting' };
}

/**
 * In this order: what the environment asks for; what orkestr.json or a configuration that we generated sets; a single
 * EXPOSEd port; what an earlier deployment found (`earlier`); the framework's default or the detector's guess; 8080.
 */
export function choosePort(
  job: Pick<ReleaseJob, 'env' | 'settings'>,
  image: Pick<Image, 'exposedPorts'>,
  plan: Pick<BuildPlan, 'port' | 'portGuessed' | 'evidence'>,
  earlier: number | null = null,
): ChosenPort {
  const asked = askedPort(job);
  if (asked !== undefined) return { ...asked, guessed: false };
  const planned = plan.port !== undefined && {
    value: plan.port,
    from: plan.evidence.find(({ subject }) => subject === 'port')?.from ?? 'build plan',
    guessed: plan.portGuessed,
  };
  if (planned && !planned.guessed) return planned;
  const [exposed, ...more] = image.exposedPorts;
  if (exposed !== undefined && more.length === 0)
    return { value: exposed, from: 'EXPOSE of the image', guessed: false };
  if (earlier !== null) return { value: earlier, from: FOUND_EARLIER, guessed: true };
  return planned || { value: DEFAULT_PORT, from: 'default', guessed: true };
}

/** A worker needs no port. The proxy's table must have one, and gets what the environment asks for, or 8080. */
export const portOfWorker = (job: Pick<ReleaseJob, 'env' | 'settings'>): ChosenPort => ({
  value: askedPort(job)?.value ?? DEFAULT_PORT,
  from: 'none: a worker',
  guessed: false,
});

/** The port that reaches the app: the one that the health step found, or else the chosen one. */
export const servingPort = (target: Pick<Target, 'port'>, health: Pick<HealthReport, 'foundPort'>): number =>
  health.foundPort ?? target.port;

/** The port that the next deployment should know: one that was found, now or earlier, and serves. */
export function portToRemember(
  target: Pick<Target, 'port' | 'portFrom'>,
  health: Pick<HealthReport, 'foundPort'>,
): number | null {
  return health.foundPort ?? (target.portFrom === FOUND_EARLIER ? target.port : null);
}

/** Whether an app listens on `port` for clients outside its container. */
export const isOpen = (port: number, listeners: readonly Listener[]): boolean =>
  listeners.some((listener) => listener.port === port && !isLoopback(listener.address));

/** The only port that an app has opened to the outside, if it differs from the guessed one; else null. */
export function otherPort(guessed: number, listeners: readonly Listener[]): number | null {
  const open = new Set(listeners.filter(({ address }) => !isLoopback(address)).map(({ port }) => port));
  const [only] = open;
  return open.size !== 1 || only === undefined || only === guessed ? null : only;
}
