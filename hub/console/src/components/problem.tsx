/** Errors for people: what happened, the facts behind it, what to do. */
import type { ErrorReport } from '../../../../protocol/errors.ts';
import type { ApiError } from '../api/client.ts';

export function ErrorCard({ error, title }: { error: ErrorReport; title?: string }) {
  return (
    <section class="card error" role="alert" aria-label={title ?? 'Error'}>
      <p class="error-head">
        <strong>{error.message}</strong> <code>{error.code}</code>
      </p>
      {error.evidence.length > 0 && (
        <ul class="evidence">
          {error.evidence.map((fact) => (
            <li key={fact}>{fact}</li>
          ))}
        </ul>
      )}
      <p class="error-mend">
        <span class="label">What to do</span> {__MENDS__[error.code] ?? 'Look it up by its code.'}
      </p>
    </section>
  );
}

/** A call that failed; nothing when there was none. */
export function ApiProblem({ error }: { error: ApiError | undefined }) {
  if (error === undefined) return null;
  const { problem } = error;
  if (problem) return <ErrorCard error={{ ...problem, message: problem.detail }} />;
  return (
    <p class="card error" role="alert">
      {error.message}
    </p>
  );
}
