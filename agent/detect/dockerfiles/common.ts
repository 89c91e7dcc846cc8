/** What all generated Dockerfiles share. */

/** The user of every generated image: no account of the host, no root. */
export const USER = '10001:10001';

/** A CMD or ENTRYPOINT in exec form. JSON is its syntax, so nothing in an argument can leave it. */
export function execForm(argv: readonly string[]): string {
  return JSON.stringify(argv);
}

/** A BuildKit cache mount. Its id carries the project, so that no other project's build can put things into it. */
export function cacheMount(scope: string, name: string, target: string): string {
  return `--mount=type=cache,id=${scope}-${name},target=${target}`;
}
