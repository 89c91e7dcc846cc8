/** Parser directives: the first comment lines of a Dockerfile (Dockerfile reference, "Parser directives"). */
import { refused } from './refused.ts';

/** The engine's built-in frontend, under the names in use for it. */
const STOCK_FRONTEND =
  /^(?:(?:registry-1\.|index\.)?docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/;
/** Its value is the rest of the line. */
const DIRECTIVE = /^(?:#|\/\/)\s*([A-Za-z]\w*)\s*=/;

/**
 * Returns the escape character, and the text without a `# syntax=` line, since BuildKit would fetch and run the
 * frontend that it names. The number of lines does not change, to preserve line numbers in messages.
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for a frontend that is not Docker's own
 */
export function stripSyntax(source: string): { readonly text: string; readonly escape: string } {
  if (source.trimStart().startsWith('{')) throw refused('It is JSON, which would name a frontend');
  const lines = source.split('\n');
  let escape: string | undefined;
  for (let index = lines[0]?.startsWith('#!') === true ? 1 : 0; index < lines.length; index += 1) {
    const line = lines[index]?.trim() ?? '';
    const [start = '', name = ''] = DIRECTIVE.exec(line) ?? [];
    if (name === '') break;
    const value = line.slice(start.length).trim();
    if (name.toLowerCase() === 'syntax') checkFrontend(value, index + 1);
    else if (name.toLowerCase() === 'escape') escape = checkEscape(value, index + 1);
    else continue;
    lines[index] = '#';
  }
  if (escape === undefined) return { text: lines.join('\n'), escape: '\\' };
  // Older parsers accept it in the first line only.
  lines.splice(lines.indexOf('#'), 1);
  return { text: [`# escape=${escape}`, ...lines].join('\n'), escape };
}

function checkEscape(value: string, line: number): string {
  if (value === '\\' || value === '`') return value;
  throw refused('The escape character is neither \\ nor `', line);
}

function checkFrontend(name: string, line: number): void {
  if (STOCK_FRONTEND.test(name)) return;
  throw refused(
    `It asks for the foreign frontend ${name.slice(0, 100)}, a program that would be fetched and run`,
    line,
  );
}
