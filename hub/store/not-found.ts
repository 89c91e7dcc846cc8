/** One answer for what is not there and for what belongs to another team: nobody learns which ids exist. */
import { OrkestrError } from '../../protocol/errors.ts';

/** Words for people: "project", "host", ... */
export function notFound(kind: string, name: string): OrkestrError {
  return new OrkestrError('ORK_NOT_FOUND', `There is no ${kind} "${name}".`);
}
