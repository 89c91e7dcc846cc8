/** What a release aims at in size and in what an idle host spends on it. It is still made when it misses an aim. */
import type { ReleaseFile } from '../../protocol/release.ts';
import type { Idle } from './measure.ts';

const UNITS = {
  MB: 1e6,
  /** As `ps` and `systemctl status` count memory. */
  MiB: 2 ** 20,
  '%': 1,
} as const;

/** A measured value, in its unit. */
interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: keyof typeof UNITS;
  /** The most that is aimed at; null if nothing is. */
  readonly aim: number | null;
}

/** Of an archive, MB. */
export const ARCHIVE_MB = 40;
/** Of agent and proxy together, on an idle host. */
const IDLE_MIB = 120;
const IDLE_CPU_PERCENT = 0.2;

export const fileFigures = (files: readonly ReleaseFile[]): Figure[] =>
  files.map(({ name, bytes }) => ({
    what: name,
    value: bytes / UNITS.MB,
    unit: 'MB',
    aim: name.endsWith('.tar.xz') ? ARCHIVE_MB : null,
  }));

export const idleFigures = ({ agentBytes, proxyBytes, hubBytes, cpuPercent }: Idle): Figure[] => [
  { what: 'agent and proxy, idle', value: (agentBytes + proxyBytes) / UNITS.MiB, unit: 'MiB', aim: IDLE_MIB },
  { what: 'hub, idle', value: hubBytes / UNITS.MiB, unit: 'MiB', aim: null },
  { what: 'of a core for agent and proxy, idle', value: cpuPercent, unit: '%', aim: IDLE_CPU_PERCENT },
];

/** As the line shows them, rounded. */
export const isMissed = ({ value, unit, aim }: Figure): boolean => aim !== null && Number(shown(value, unit)) > aim;

const shown = (value: number, unit: Figure['unit']): string => value.toFixed(unit === '%' ? 2 : 1);

/** ` 41.2 MB   NAME (more than the 40 MB aimed at)`. */
export function figureLine(figure: Figure): string {
  const { what, value, unit, aim } = figure;
  return `${shown(value, unit).padStart(6)} ${unit.padEnd(3)} ${what}${isMissed(figure) ? ` (more than the ${aim} ${unit} aimed at)` : ''}`;
}
