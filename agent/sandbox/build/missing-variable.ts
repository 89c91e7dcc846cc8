/** Which variable a failed command lacked: a build gets build secrets and build args, and no variables of the app. */
import type { BuildRequest } from '../../deployment/ports.ts';
import type { FailedVertex } from '../progress/build-log.ts';

/** Names of variables, and never their values. */
export interface BuildVariables {
  /** Set for the app, and not given to the build. */
  readonly app: readonly string[];
  /** Build secrets that are set, and that a Dockerfile of the repository may leave unused. */
  readonly unmounted: readonly string[];
  /** A Dockerfile of the repository mounts each secret itself. */
  readonly mounts: boolean;
}

/** What of a request decides: of its plan the build args, and whose Dockerfile it is. */
type Inputs = Pick<BuildRequest, 'appVariables' | 'secrets'> & {
  readonly plan: Pick<BuildRequest['plan'], 'buildArgs' | 'dockerfile'>;
};

export function buildVariables({ appVariables = [], secrets, plan }: Inputs): BuildVariables {
  const given = { ...plan.buildArgs, ...secrets };
  const mounts = plan.dockerfile.origin === 'repository';
  return {
    app: appVariables.filter((name) => !Object.hasOwn(given, name)),
    unmounted: mounts ? Object.keys(secrets) : [],
    mounts,
  };
}

const MAX_NAMES = 3;
/** Two letters of a log are rarely a variable. */
const MIN_LENGTH = 3;

/** A sentence about the variable, to follow another one; empty if the output says nothing of one. */
export function missingVariable(
  { command, lastLines }: FailedVertex,
  { app, unmounted, mounts }: BuildVariables,
): string {
  const missed = missedOf(lastLines);
  const ofApp = app.filter((name) => missed(name)).slice(0, MAX_NAMES);
  if (ofApp.length > 0) return setForApp(ofApp, mounts);
  const ofBuild = unmounted.filter((name) => missed(name) && !mountOf(name).test(command));
  if (ofBuild.length > 0) {
    return ` The build secret ${ofBuild.slice(0, MAX_NAMES).join(', ')} is set, but this line does not mount it: ${MOUNT}.`;
  }
  const unset = UNSET.exec(lastLines.join('\n'))?.[1];
  return unset === undefined ? '' : ` The build has no ${unset}. Set it with ${commandFor(unset)}.`;
}

const MOUNT = 'see "Build secrets" in docs/build-inputs.md';

function setForApp(names: readonly string[], mounts: boolean): string {
  const [what, them] =
    names.length === 1
      ? [`${names[0]} is set for the app, and a build does not get it`, 'it']
      : [`${names.join(', ')} are set for the app, and a build does not get them`, 'them'];
  const too = mounts ? `, and mount ${them} in this line: ${MOUNT}` : '';
  return ` ${what}. If the build needs ${them}, set ${them} for the build too: ${names.map(commandFor).join(', ')}${too}.`;
}

const commandFor = (name: string): string => `\`orkestr env set --build ${name}=-\``;

/** A variable that an .npmrc, a .yarnrc.yml or a schema of Prisma names, as pnpm, yarn and Prisma report it. */
const UNSET = /(?:Failed to replace env in config: \$\{|Environment variable not found(?: \(|: ))([A-Za-z_]\w{0,100})/;

/** How programs say that something is not there: Django, Prisma, t3-env, zod, pydantic and people's own checks. */
const ABSENT =
  /not (?:found|set|defined|provided|configured|present)|missing|required|undefined|unset|must be|invalid|KeyError|ImproperlyConfigured|environment variable|no value|is empty/i;
/** Lines between a name and what is said of it: t3-env prints both as fields of an object. */
const NEAR = 2;

/** Whether a name is mentioned, as a word, near the words for something that is missing. */
function missedOf(lines: readonly string[]): (name: string) => boolean {
  const near = lines.filter((_, at) =>
    lines.slice(Math.max(0, at - NEAR), at + NEAR + 1).some((line) => ABSENT.test(line)),
  );
  const words = new Set(near.flatMap((line) => line.match(/[A-Za-z_]\w*/g) ?? []));
  return (name) => name.length >= MIN_LENGTH && words.has(name);
}

/** `--mount=type=secret,id=NAME`, its aliases, or a target that ends in the name (dockerfile/mounts.ts). */
const mountOf = (name: string): RegExp =>
  new RegExp(`\\b(?:(?:id|src|source)=["']?|(?:target|dst|destination)=["']?[^,\\s"']*/)${name}(?!\\w)`);
