/** What stands beside something of the API: why it could not be had, or that it has not come yet. */
import type { Resource } from '../api/resource.ts';
import { Loading } from './loading.tsx';
import { ApiProblem } from './problem.tsx';

export function Pending({ of: { data, error } }: { of: Resource<unknown> }) {
  if (error !== undefined) return <ApiProblem error={error} />;
  return data === undefined ? <Loading /> : null;
}
