/** Prints failing certificates below the output about environments. */
import type { Environment } from '../api/schemas.ts';
import type { Output } from './output.ts';
import { certificateLine } from './text/certificate-lines.ts';
import { safeLine } from '../../protocol/safe-text.ts';

export function showFailingCertificates(output: Output, environments: readonly Environment[]): void {
  for (const one of environments.flatMap(({ certificates }) => certificates)) {
    output.line(`\n${output.style('yellow', safeLine(certificateLine(one), false))}`);
    output.line(`${output.style('bold', 'What to do:')} ${output.mendOf(one.error.code)} (${one.error.code})`);
  }
}
