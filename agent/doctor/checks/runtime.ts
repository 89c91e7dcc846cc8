/**
 * Versions with known container escapes. Judges by version number only: distributions fix bugs without changing it.
 * Sources: the advisories of opencontainers/runc, containerd and moby/buildkit that the CVE numbers name.
 */
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import type { EngineVersion } from '../engine-facts.ts';

interface Escape {
  readonly cves: string;
  /**
   * First fixed version of each release line that got a fix, oldest first. A line without a fix is vulnerable if it is
   * older than the last of these.
   */
  readonly fixedIn: readonly string[];
}

const RUNC: readonly Escape[] = [
  { cves: 'CVE-2024-21626', fixedIn: ['1.1.12'] },
  { cves: 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881', fixedIn: ['1.2.8', '1.3.3'] },
];
const CONTAINERD: readonly Escape[] = [
  { cves: 'CVE-2020-15257', fixedIn: ['1.3.9', '1.4.3'] },
  { cves: 'CVE-2022-23648', fixedIn: ['1.4.13', '1.5.10', '1.6.1'] },
  { cves: 'CVE-2024-40635', fixedIn: ['1.6.38', '1.7.27', '2.0.4'] },
];
/** BuildKit is part of the engine and reports no version of its own: 0.12.5 came with these engines. */
const BUILDKIT: readonly Escape[] = [
  { cves: 'CVE-2024-23651, CVE-2024-23652, CVE-2024-23653', fixedIn: ['24.0.9', '25.0.2'] },
];

const SAYS = '{part} {version} has, judging by its version number, known container escapes: {cves}.';
const MEND = {
  apt: 'Your distribution may have fixed this without changing the version number: check `apt-get changelog {package}`. Otherwise run `apt-get update && apt-get install --only-upgrade {package}`.',
  dnf: 'Your distribution may have fixed this without changing the version number: check `dnf updateinfo list --installed`. Otherwise run `dnf upgrade docker-ce containerd.io`, or upgrade the package that contains it: `rpm -qf "$(command -v runc)"`.',
};

export const runtime = defineCheck({
  name: 'runtime',
  about: 'runc, containerd and BuildKit have no known container escapes, judging by their version numbers.',
  problems: {
    'runc-escape': { level: 'warn', says: SAYS, mend: MEND },
    'containerd-escape': { level: 'warn', says: SAYS, mend: MEND },
    'buildkit-escape': { level: 'warn', says: SAYS, mend: MEND },
  },
  gather: ({ engine }) => engine.version(),
  judge(facts) {
    const runc = componentOf(facts, 'runc');
    const containerd = componentOf(facts, 'containerd');
    return {
      summary: `runc ${runc ?? 'unknown'}, containerd ${containerd ?? 'unknown'}, BuildKit of Docker Engine ${facts.Version}`,
      findings: [
        ...findingsFor('runc-escape', { part: 'runc', version: runc, package: 'runc' }, RUNC),
        ...findingsFor(
          'containerd-escape',
          { part: 'containerd', version: containerd, package: 'containerd' },
          CONTAINERD,
        ),
        ...findingsFor(
          'buildkit-escape',
          { part: 'BuildKit of Docker Engine', version: facts.Version, package: 'docker.io' },
          BUILDKIT,
        ),
      ],
    };
  },
});

const componentOf = ({ Components }: EngineVersion, name: string): string | null =>
  Components.find((one) => one.Name === name)?.Version.replace(/^v/, '') ?? null;

interface Part {
  readonly part: string;
  readonly version: string | null;
  readonly package: string;
}

function findingsFor<P extends string>(problem: P, part: Part, escapes: readonly Escape[]): Finding<P>[] {
  const { version } = part;
  if (version === null) return [];
  const open = escapes.filter(({ fixedIn }) => isOpen(version, fixedIn));
  if (open.length === 0) return [];
  return [
    {
      problem,
      values: { part: part.part, version, package: part.package, cves: open.map(({ cves }) => cves).join(', ') },
      evidence: open.map(({ cves, fixedIn }) => `${cves}: fixed in ${fixedIn.join(', ')}`),
    },
  ];
}

/** Whether a version is older than the fix for its release line. */
function isOpen(version: string, fixedIn: readonly string[]): boolean {
  const line = fixedIn.find((one) => lineOf(one) === lineOf(version));
  if (line !== undefined) return compare(version, line) < 0;
  return compare(version, fixedIn.at(-1) ?? '0') < 0;
}

const numbersOf = (version: string): number[] => (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
const lineOf = (version: string): string => numbersOf(version).slice(0, 2).join('.');

function compare(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  const index = [0, 1, 2].find((at) => (left[at] ?? 0) !== (right[at] ?? 0));
  return index === undefined ? 0 : (left[index] ?? 0) - (right[index] ?? 0);
}
