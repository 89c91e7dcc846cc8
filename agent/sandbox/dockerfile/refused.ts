/** The error for a Dockerfile that is refused. */
import { OrkestrError } from '../../../protocol/errors.ts';

/** @param why what is wrong, without a full stop; @param line counted from 1 */
export function refused(why: string, line?: number): OrkestrError {
  const where = line === undefined ? '' : `, line ${line}`;
  return new OrkestrError('ORK_DOCKERFILE_REFUSED', `The Dockerfile is refused${where}: ${why}.`);
}
