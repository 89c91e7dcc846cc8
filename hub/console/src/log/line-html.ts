/** One log line as safe HTML: everything is escaped, colours become classes. Pure. */
import { AnsiUp } from 'ansi_up';
import { safeLine } from '../../../../protocol/safe-text.ts';

export interface LineRenderer {
  /** HTML of one line. True colours stand in `data-style`: the policy forbids style attributes, scripts may set them. */
  readonly html: (line: string) => string;
}

export function makeLineRenderer(): LineRenderer {
  const ansi = new AnsiUp();
  ansi.escape_html = true;
  ansi.use_classes = true;
  ansi.url_allowlist = {}; // a build must not be able to put links into the console
  return {
    // safeLine leaves only colours and ends them, so that no state is carried from line to line. Quotes in the text are
    // escaped, so ` style="` can only be an attribute that ansi_up wrote.
    html: (line) => ansi.ansi_to_html(safeLine(line, true)).replaceAll(' style="', ' data-style="'),
  };
}
