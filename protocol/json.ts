/** What stands in a JSON text; undefined, which no schema takes, for what is no JSON: whoever checks the shape refuses both. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // how it is broken helps nobody
  }
}
