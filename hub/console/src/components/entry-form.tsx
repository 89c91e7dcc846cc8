/** A form that adds one entry. The values are sent and discarded: they are never shown again. */
import { useAction } from '../api/action.ts';
import { formValues } from './form-values.ts';
import { ApiProblem } from './problem.tsx';

interface Field {
  readonly name: string;
  readonly label: string;
  readonly placeholder?: string;
  /** `password`: hidden while typing. `lines`: multi-line. Default: one line. */
  readonly kind?: 'password' | 'lines';
  /** Allowed values; the first one is the default. */
  readonly choices?: readonly string[];
  /** It may be left empty. */
  readonly optional?: boolean;
}

interface Props {
  /** The purpose of the form, for screen readers. */
  readonly label: string;
  readonly button: string;
  readonly fields: readonly Field[];
  readonly add: (values: Readonly<Record<string, string>>) => Promise<void>;
}

export function EntryForm({ label, button, fields, add }: Props) {
  const { busy, error, run } = useAction();
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    if (await run(() => add(formValues(fields, new FormData(form))))) form.reset();
  };
  return (
    <form class="entry-form" aria-label={label} onSubmit={(event) => void onSubmit(event)}>
      {fields.map((field) => (
        <label key={field.name}>
          <span>{field.label}</span>
          <FieldInput field={field} />
        </label>
      ))}
      <button class="button" disabled={busy}>
        {button}
      </button>
      <ApiProblem error={error} />
    </form>
  );
}

function FieldInput({ field: { name, placeholder, kind, choices, optional = false } }: { field: Field }) {
  if (choices) {
    return (
      <select name={name}>
        {choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    );
  }
  const common = { name, placeholder, spellcheck: false, autocomplete: kind === 'password' ? 'new-password' : 'off' };
  if (kind === 'lines') return <textarea {...common} rows={1} />;
  return <input {...common} type={kind === 'password' ? 'password' : 'text'} required={!optional} />;
}
