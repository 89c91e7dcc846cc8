/** The values of a form's fields. */

interface ReadField {
  readonly name: string;
  readonly kind?: 'password' | 'lines';
}

/**
 * The text of each field. For multi-line fields without the last newline, as in the CLI: a trailing Enter is invisible.
 */
export const formValues = (fields: readonly ReadField[], data: FormData): Record<string, string> =>
  Object.fromEntries(
    fields.map(({ name, kind }) => {
      const value = data.get(name);
      const text = typeof value === 'string' ? value : '';
      return [name, kind === 'lines' ? text.replace(/\r?\n$/, '') : text];
    }),
  );
