/**
 * What a Dockerfile may use depends on the engine's age: it builds with its built-in frontend and never fetches
 * another. Frontend versions: Dockerfile reference and release notes (docs.docker.com/build/dockerfile/release-notes);
 * BuildKit version of an engine: release notes of Docker Engine. The limits of 20.10 were verified with it.
 */
import { OrkestrError } from '../../../protocol/errors.ts';
import { type Flag, flagsOf } from './flags.ts';
import type { Instruction } from './instructions.ts';
import { refused } from './refused.ts';

/** A version of the Dockerfile frontend, and the first Docker Engine with it built in. */
interface Since {
  readonly frontend: string;
  readonly engine: string;
}
const since = (frontend: string, engine: string): Since => ({ frontend, engine });

export const HERE_DOCUMENTS = since('1.4', '23.0');

/** Instruction → flag → first version. Excludes flags that every supported engine has. */
const FLAGS: Readonly<Record<string, Readonly<Record<string, Since>>>> = {
  ADD: {
    link: since('1.4', '23.0'),
    checksum: since('1.6', '25.0'),
    'keep-git-dir': since('1.6', '25.0'),
    exclude: since('1.19', '28.5'),
    unpack: since('1.17', '28.3'),
  },
  COPY: {
    link: since('1.4', '23.0'),
    parents: since('1.20', '29.1'),
    exclude: since('1.19', '28.5'),
  },
  HEALTHCHECK: { 'start-interval': since('1.6', '25.0') },
  RUN: { network: since('1.3', '23.0') },
};
const SECRET_AS_VARIABLE = since('1.10', '27.3');

/** Flags of RUN that are forbidden here, whatever the engine. */
const FORBIDDEN: Readonly<Record<string, (flag: Flag) => string | null>> = {
  security: ({ value }) => (value === 'sandbox' ? null : 'A build has no privileges'),
  network: ({ value }) => (value === 'host' ? 'A build has no access to the network of the host' : null),
  device: () => 'A build has no devices',
};

/**
 * Checks that the engine can build the instructions.
 * @param engineVersion "20.10.24+dfsg1"
 * @throws OrkestrError ORK_BUILD_FEATURE with line and Docker version, ORK_DOCKERFILE_REFUSED
 */
export function checkFeatures(list: readonly Instruction[], engineVersion: string): void {
  for (const instruction of list) {
    const { name, words, line, hereDocuments } = instruction;
    const need = (what: string, version: Since): void => {
      if (!isOlder(engineVersion, version.engine)) return;
      throw new OrkestrError(
        'ORK_BUILD_FEATURE',
        `Line ${line} of the Dockerfile uses ${what}, which needs Docker Engine ${version.engine} or newer (Dockerfile ${version.frontend}); this host has ${engineVersion.slice(0, 40)}.`,
      );
    };
    if (hereDocuments.length > 0) need('a here-document (`<<`)', HERE_DOCUMENTS);
    for (const flag of flagsOf(words)) {
      const forbidden = name === 'RUN' && Object.hasOwn(FORBIDDEN, flag.name) ? FORBIDDEN[flag.name]?.(flag) : null;
      if (forbidden != null) throw refused(forbidden, line);
      const flags = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
      const version = flags !== undefined && Object.hasOwn(flags, flag.name) ? flags[flag.name] : undefined;
      if (version !== undefined) need(`\`${name} --${flag.name}\``, version);
      if (flag.name === 'mount' && /(?:^|,)type=secret(?:,|$)/i.test(flag.value) && /(?:^|,)env=/i.test(flag.value)) {
        need('`env=` of a secret mount', SECRET_AS_VARIABLE);
      }
    }
  }
}

/** Whether engine version `a` is older than `b` ("23.0"). */
export function isOlder(a: string, b: string): boolean {
  const [first, second] = [a, b].map((version) => version.split(/[^\d]/).slice(0, 2).map(Number));
  const [major = 0, minor = 0] = first ?? [];
  const [otherMajor = 0, otherMinor = 0] = second ?? [];
  return major === otherMajor ? minor < otherMinor : major < otherMajor;
}
