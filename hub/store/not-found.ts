/** The same error for missing objects and those of other teams, so that nobody learns which ids exist. */
import { OrkestrError } from '../../protocol/errors.ts';

/** @param kind in words for users: "project", "host", ... */
export function notFound(kind: string, name: string): OrkestrError {
  return new OrkestrError('ORK_NOT_FOUND', `There is no ${kind} "${name}".`);
}
