/** Errors for people: what happened, the evidence, what to do. */
import type { ErrorReport } from '../../../../protocol/errors.ts';
import { safeLine } from '../../../../protocol/safe-text.ts';
import type { ApiError } from '../api/client.ts';

export function ErrorCard({ error, title }: { error: ErrorReport; title?: string }) {
  return (
    <section class="card error" role="alert" aria-label={title ?? 'Error'}>
      <p class="error-head">
        <strong>
          <Words of={plain(error.message)} />
        </strong>{' '}
        <code>{error.code}</code>
      </p>
      {error.evidence.length > 0 && (
        <ul class="evidence">
          {error.evidence.map((fact) => (
            <li key={fact}>{plain(fact)}</li>
          ))}
        </ul>
      )}
      <p class="error-mend">
        <span class="label">What to do</span> <Mend code={error.code} />
      </p>
    </section>
  );
}

/** How to fix an error, in one sentence. */
export const Mend = ({ code }: { code: string }) => <Words of={__MENDS__[code] ?? 'Look it up by its code.'} />;

/** A sentence with code between backticks, and links to documentation pages. */
export const Words = ({ of }: { of: string }) => (
  <>
    {of
      .split('`')
      .map((part, index) => (index % 2 === 0 ? <Linked key={index} text={part} /> : <code key={index}>{part}</code>))}
  </>
);

const Linked = ({ text }: { text: string }) => (
  <>
    {text.split(/(docs\/[a-z-]+\.md)/).map((part, index) =>
      index % 2 === 0 ? (
        part
      ) : (
        <a key={index} href={`/${part}`} target="_blank">
          {part}
        </a>
      ),
    )}
  </>
);

/** Messages and evidence may contain an app's log lines with colour codes. */
const plain = (text: string): string => safeLine(text, false);

/** A failed call; renders nothing without an error. */
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
