/** Parser directives: the first comment lines of a Dockerfile (Dockerfile reference, "Parser directives"). */
import { refused } from './refused.ts';

/** The frontend that the engine has built in, under the names that people give for it. */
const STOCK_FRONTEND =
  /^(?:(?:registry-1\.|index\.)?docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/;
const DIRECTIVE = /^(?:#|\/\/)\s*([A-Za-z][\w]*)\s*=\s*(.*?)\s*$/;

/**
 * The text without a `# syntax=` line, since BuildKit would fetch and run what it names, and the escape character.
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for a frontend that is not Docker's own
 */
export function stripSyntax(source: string): { readonly text: string; readonly escape: string } {
  if (source.trimStart().startsWith('{')) throw refused('It is JSON, which would name a frontend');
  const lines = source.split('\n');
  let escape = '\\';
  for (let index = lines[0]?.startsWith('#!') === true ? 1 : 0; index < lines.length; index += 1) {
    const [, name = '', value = ''] = DIRECTIVE.exec(lines[index]?.trim() ?? '') ?? [];
    if (name === '') break;
    if (name.toLowerCase() === 'escape') escape = value;
    if (name.toLowerCase() !== 'syntax') continue;
    checkFrontend(value, index + 1);
    // Emptied, not removed: line numbers in messages stay right. A comment, since an empty line would end the directives.
    lines[index] = '#';
  }
  if (escape !== '\\' && escape !== '`') throw refused('Its escape character is neither \\ nor `');
  return { text: lines.join('\n'), escape };
}

function checkFrontend(name: string, line: number): void {
  if (STOCK_FRONTEND.test(name)) return;
  throw refused(
    `It asks for the foreign frontend ${name.slice(0, 100)}, a program that would be fetched and run`,
    line,
  );
}
