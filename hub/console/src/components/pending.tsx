/** Placeholder for a resource: its error, or that it is loading. */
import type { Resource } from '../api/resource.ts';
import { Loading } from './loading.tsx';
import { ApiProblem } from './problem.tsx';

export function Pending({ of: { data, error } }: { of: Resource<unknown> }) {
  if (error !== undefined) return <ApiProblem error={error} />;
  return data === undefined ? <Loading /> : null;
}
