/** Prints live apps that are down below the output about environments. */
import { safeLine } from '../../protocol/safe-text.ts';
import type { Environment } from '../api/schemas.ts';
import type { Output } from './output.ts';
import { downLine } from './text/down-line.ts';

/** @param project as given by `--project`; undefined: commands find it without */
export function showDownApps(
  output: Output,
  environments: readonly Pick<Environment, 'slug' | 'down'>[],
  project?: string,
): void {
  for (const { slug, down } of environments) {
    if (down === null) continue;
    const place = `--environment ${slug}${project === undefined ? '' : ` --project ${project}`}`;
    output.line(`\n${output.style('yellow', safeLine(`${slug} is ${downLine(down)}`, false))}`);
    output.line(`${output.style('bold', 'What to do:')} ${output.mendOf(down.error.code)} (${down.error.code})`);
    output.line(`${output.style('bold', 'Its log:')} orkestr logs --app ${place}`);
  }
}
