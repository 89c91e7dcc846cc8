/** Renders one log line as safe HTML: everything is escaped, colours become classes. Pure. */
import { AnsiUp } from 'ansi_up';
import { safeLine } from '../../../../protocol/safe-text.ts';

export interface LineRenderer {
  /**
   * HTML of one line. True colours are in `data-style`: the policy forbids style attributes, but scripts may set
   * styles.
   */
  readonly html: (line: string) => string;
}

export function makeLineRenderer(): LineRenderer {
  const ansi = new AnsiUp();
  ansi.escape_html = true;
  ansi.use_classes = true;
  ansi.url_allowlist = {}; // build output must not be able to place links in the console
  return {
    // safeLine leaves only colours and closes them, so no state carries over between lines. Quotes in the text are
    // escaped, so ` style="` can only be an attribute that ansi_up wrote.
    html: (line) => ansi.ansi_to_html(safeLine(line, true)).replaceAll(' style="', ' data-style="'),
  };
}
