/** What each fixture app must answer, and what it needs beyond its own files. */

export interface App {
  /** What its front page holds. */
  readonly body: RegExp;
  /** Variables of the environment, as its user would set them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Root directory of the app in its repository. */
  readonly rootDirectory?: string;
  /** Memory of the running app, MiB. */
  readonly memoryMiB?: number;
}

/** Fixtures that are built. Every fixture stands here or in {@link PLANNED_ONLY}; main.ts checks it. */
export const BUILT: Readonly<Record<string, App>> = {
  // Node.js: servers.
  'node-plain': { body: /node/i },
  express: { body: /express/i },
  fastify: { body: /hello from Fastify/ },
  koa: { body: /hello from Koa/ },
  hono: { body: /hello from Hono/ },
  hapi: { body: /hello from hapi/ },
  nest: { body: /hello from Nest/ },
  next: { body: /hello from Next\.js/ },
  nuxt: { body: /hello from Nuxt/ },
  sveltekit: { body: /hello from SvelteKit/ },
  'react-router': { body: /hello from React Router/ },
  remix: { body: /hello from Remix/ },
  'astro-server': { body: /hello from Astro on Node/ },
  'solid-start': { body: /hello from SolidStart/ },
  // Node.js: sites.
  'vite-static': { body: /<div id="(?:app|root)"/ },
  'next-export': { body: /hello from Next\.js/ },
  astro: { body: /hello from Astro/ },
  eleventy: { body: /hello from Eleventy/ },
  vitepress: { body: /hello from VitePress/ },
  solid: { body: /hello from Solid/ },
  angular: { body: /hello from Angular/ },
  'create-react-app': { body: /hello from Create React App/ },
  'vue-cli': { body: /hello from Vue/ },
  gatsby: { body: /hello from Gatsby/ },
  docusaurus: { body: /hello from Docusaurus/ },
  // Package managers and workspaces.
  pnpm: { body: /hello from Koa/ },
  'yarn-classic': { body: /hello from Koa/ },
  'yarn-berry': { body: /hello from Koa/ },
  bun: { body: /hello from Bun/ },
  'workspace-npm': { body: /hello from a workspace/ },
  'workspace-pnpm-turbo': { body: /hello from a member/ },
  'workspace-yarn-nx': { body: /hello from a member/ },
  // Said by the repository.
  procfile: { body: /hello from a Procfile/ },
  overridden: { body: /hello from orkestr\.json/ },
  'dockerfile-own': { body: /./ },
  'dockerfile-prod': { body: /hello/ },
  // Other runtimes.
  'static-html': { body: /hello/ },
  'deno-plain': { body: /hello/ },
  'python-stdlib': { body: /python/i },
  'go-http': { body: /go/i },
  'rust-plain': { body: /rust/i },
  'php-plain': { body: /hello/ },
  'ruby-plain': { body: /ruby/i },
  'java-plain': { body: /java/i },
};

/** Fixtures of which only the plan is shown, and why. */
export const PLANNED_ONLY: Readonly<Record<string, string>> = {};
