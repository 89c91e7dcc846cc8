/** Which port an app is asked to listen on, and where that is said. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { Port } from '../../protocol/ids.ts';
import type { BuildPlan, Image } from '../../protocol/steps.ts';

export const DEFAULT_PORT = 8080;

export interface ChosenPort {
  readonly value: number;
  /** For people, shown with the target and in errors. */
  readonly from: string;
}

/**
 * The port that the environment asks for: its variable PORT (the app will read it whatever else is said), else its setting.
 * @throws OrkestrError ORK_INVALID when PORT is not a port number
 */
export function askedPort(job: Pick<ReleaseJob, 'env' | 'settings'>): ChosenPort | undefined {
  const { PORT: variable } = job.env;
  if (variable !== undefined) {
    const parsed = Port.safeParse(/^\d{1,5}$/.test(variable) ? Number(variable) : Number.NaN);
    if (parsed.success) return { value: parsed.data, from: 'environment variable PORT' };
    throw new OrkestrError('ORK_INVALID', 'The environment variable PORT must be a number from 1 to 65535.');
  }
  return job.settings.port === undefined ? undefined : { value: job.settings.port, from: 'environment setting' };
}

/** What the environment asks for, else the one EXPOSEd port, else what the analysis found, else 8080. */
export function choosePort(
  job: Pick<ReleaseJob, 'env' | 'settings'>,
  image: Pick<Image, 'exposedPorts'>,
  plan: Pick<BuildPlan, 'port' | 'evidence'>,
): ChosenPort {
  const asked = askedPort(job);
  if (asked !== undefined) return asked;
  const [exposed, ...more] = image.exposedPorts;
  if (exposed !== undefined && more.length === 0) return { value: exposed, from: 'EXPOSE of the image' };
  if (plan.port !== undefined) {
    return { value: plan.port, from: plan.evidence.find(({ subject }) => subject === 'port')?.from ?? 'build plan' };
  }
  return { value: DEFAULT_PORT, from: 'default' };
}
