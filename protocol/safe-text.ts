/** Makes text from a build or an app safe to print on a terminal. */

/** Colours and weights (SGR); other escape sequences could move the cursor, set the title or reach the clipboard. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const SGR = /^\u001b\[[\d;:]*m/;
// oxlint-disable-next-line no-control-regex -- as above
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|[ -/]*[0-~]?)/g;
// oxlint-disable-next-line no-control-regex -- as above; C1 controls (0x80 to 0x9f) count as escapes on some terminals
const CONTROLS = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/g;

/** One log line, with or without colours, and without other control characters. A coloured line ends with a reset. */
export function safeLine(line: string, colors: boolean): string {
  let colored = false;
  const text = line
    .replace(ESCAPES, (sequence) => {
      if (!colors || !SGR.test(sequence)) return '';
      colored = true;
      return sequence;
    })
    .replace(CONTROLS, '');
  return colored ? `${text}\u001b[0m` : text;
}
