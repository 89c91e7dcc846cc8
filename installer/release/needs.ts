/** The newest versions of its libraries' symbols that a program or addon requires. */
import { mustRun } from '../stack/run-program.ts';

/** Family ("GLIBC", "GLIBCXX", "CXXABI", "GCC") → version, "2.28". */
type Needs = ReadonlyMap<string, string>;

/** A line of requirements: `0x0010:   Name: GLIBC_2.28  Flags: none  Version: 6`. */
const NEEDED = /\bName: ([A-Z]+)_(\S+)\s+Flags:/g;

/** @param file ELF of any processor @throws OrkestrError ORK_PREPARE_FAILED */
export async function needsOf(file: string): Promise<Needs> {
  const said = await mustRun('readelf', ['readelf', '--version-info', '--wide', file]);
  const needs = new Map<string, string>();
  for (const [, family = '', version = ''] of said.matchAll(NEEDED)) {
    if (isNewer(version, needs.get(family) ?? '0')) needs.set(family, version);
  }
  return needs;
}

/** What `addon` requires newer than `host` does, as "GLIBC 2.34": empty if it loads wherever `host` runs. */
export const beyond = (addon: Needs, host: Needs): readonly string[] =>
  [...addon].filter(([family, version]) => isNewer(version, host.get(family) ?? '0')).map((need) => need.join(' '));

const isNewer = (a: string, b: string): boolean => a.localeCompare(b, 'en', { numeric: true }) > 0;
