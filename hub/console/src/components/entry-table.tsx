/** A list of named entries with secret values: their names, their age, and a button to remove each. */
import { Age } from './time.tsx';
import { ActionButton } from './action-button.tsx';

interface Entry {
  readonly name: string;
  /** Additional text that may be shown. */
  readonly detail?: string;
  readonly updatedAt: string;
}

interface Props {
  readonly caption: string;
  readonly entries: readonly Entry[];
  readonly empty: string;
  /** Absent: the user lacks permission. */
  readonly remove?: ((name: string) => Promise<void>) | undefined;
}

export function EntryTable({ caption, entries, empty, remove }: Props) {
  if (entries.length === 0) return <p class="faint">{empty}</p>;
  return (
    <table class="entries" aria-label={caption}>
      <tbody>
        {entries.map(({ name, detail, updatedAt }) => (
          <tr key={name}>
            <th scope="row">
              <code>{name}</code>
            </th>
            <td>{detail}</td>
            <td class="faint">
              set <Age at={updatedAt} />
            </td>
            <td class="row-actions">
              {remove && (
                <ActionButton
                  tone="danger"
                  act={() => remove(name)}
                  confirm={{
                    question: `Remove ${name}? This takes effect with the next deployment.`,
                    yes: 'Remove it',
                  }}
                  label={`Remove ${name}`}
                >
                  Remove
                </ActionButton>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
