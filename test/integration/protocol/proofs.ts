/** The signed texts of protocol 1, word for word. They stay the same in every version. */
const text =
  (title: string) =>
  (...parts: readonly unknown[]): string =>
    [title, ...parts].join('\n');

export const helloText = text('orkestr-hello-v1');
export const welcomeText = text('orkestr-welcome-v1');
export const jobText = text('orkestr-job-v1');
