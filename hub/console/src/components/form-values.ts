/** What was written into the fields of a form. */

interface ReadField {
  readonly name: string;
  readonly kind?: 'password' | 'lines';
}

/** The text of each field. Of several lines without the last newline, as the CLI takes it: an Enter at the end is not seen. */
export const formValues = (fields: readonly ReadField[], data: FormData): Record<string, string> =>
  Object.fromEntries(
    fields.map(({ name, kind }) => {
      const value = data.get(name);
      const text = typeof value === 'string' ? value : '';
      return [name, kind === 'lines' ? text.replace(/\r?\n$/, '') : text];
    }),
  );
