/** Mounts that a killed engine leaves behind: its namespaces and the file systems of its containers. */
import { readFileSync } from 'node:fs';
import { runProgram } from '../stack/run-program.ts';

/** Mount points at or below `folder`, the latest first: field 5 of /proc/self/mountinfo, proc(5). */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .toReversed();
}

/** Unmounts all of them. A busy one stays; removing the folder then fails and reports it. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const point of mountsBelow(folder)) await runProgram(['umount', '--', point]);
}

/** mountinfo has blanks, tabs, line ends and backslashes as octal escapes. */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
