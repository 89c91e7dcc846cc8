/** What stands in place of the URL of an environment that has none. Shared by the CLI and the console. */
export const NO_DOMAIN = 'no domain: a worker';
