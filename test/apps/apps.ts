/** What each fixture app must answer, and what it needs in addition to its own files. */

export interface App {
  /** What its front page contains. */
  readonly body: RegExp;
  /** Variables of the environment, as its user would set them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** A path in the workdir that the image must not contain: a development dependency. */
  readonly absent?: string;
  /** The file with its greeting. Pushed again with another greeting, it must be built without installing anything. */
  readonly changed?: string;
}

/** Fixtures that are built. Every fixture is listed here or in {@link PLANNED_ONLY}; main.ts checks that. */
export const BUILT: Readonly<Record<string, App>> = {
  // Node.js: servers.
  'node-plain': { body: /node/i },
  express: { body: /express/i, changed: 'app.js' },
  fastify: { body: /hello from Fastify/ },
  koa: { body: /hello from Koa/ },
  hono: { body: /hello from Hono/ },
  hapi: { body: /hello from hapi/ },
  nest: {
    body: /hello from Nest/,
    absent: 'node_modules/@nestjs/cli',
    changed: 'src/main.ts',
  },
  next: { body: /hello from Next\.js/ },
  nuxt: { body: /hello from Nuxt/ },
  sveltekit: { body: /hello from SvelteKit/ },
  'sveltekit-auto': { body: /hello from SvelteKit/, changed: 'src/routes/+page.svelte' },
  'react-router': { body: /hello from React Router/ },
  remix: { body: /hello from Remix/ },
  'astro-server': { body: /hello from Astro on Node/ },
  adonis: {
    body: /hello from AdonisJS/,
    variables: { APP_KEY: 'only-for-the-test-of-the-fixture' },
    // npm leaves the compiler in, since it is an optional peer of a runtime dependency.
    absent: 'node_modules/ts-node-maintained',
    changed: 'start/routes.ts',
  },
  'solid-start': { body: /hello from SolidStart/ },
  'tanstack-start': { body: /hello from TanStack Start/ },
  // Node.js: sites.
  'vite-static': { body: /hello from a public variable/, variables: { VITE_GREETING: 'hello from a public variable' } },
  'next-export': { body: /hello from Next\.js/ },
  // Their pages are rendered in the browser.
  'sveltekit-spa': { body: /_app\/immutable/ },
  'react-router-spa': { body: /<script/ },
  astro: { body: /hello from Astro/ },
  eleventy: { body: /hello from Eleventy/ },
  vitepress: { body: /hello from VitePress/ },
  solid: { body: /hello from Solid/ },
  angular: { body: /hello from Angular/ },
  'create-react-app': { body: /hello from Create React App/ },
  'vue-cli': { body: /hello from Vue/ },
  docusaurus: { body: /hello from Docusaurus/ },
  // Package managers and workspaces.
  pnpm: { body: /hello from Koa/, changed: 'server.js' },
  'yarn-classic': { body: /hello from Koa/, changed: 'server.js' },
  'yarn-3': { body: /hello from Koa/ },
  'yarn-berry': { body: /hello from Koa/ },
  corepack: { body: /hello from Koa/ },
  bun: { body: /hello from Bun/ },
  'workspace-npm': { body: /hello from a workspace/ },
  'workspace-pnpm-turbo': { body: /hello from a member/ },
  'workspace-yarn-nx': { body: /hello from a member/ },
  // Commands given by the repository.
  procfile: { body: /hello from a Procfile/ },
  'below-root': { body: /hello from Flask/ },
  overridden: { body: /hello from orkestr\.json/ },
  'dockerfile-own': { body: /./ },
  'dockerfile-prod': { body: /hello/ },
  // Other runtimes.
  'static-html': { body: /hello/ },
  'deno-plain': { body: /hello/ },
  'deno-workspace': { body: /hello from a workspace of Deno.* 1000 ms/, changed: 'words/words.ts' },
  'python-stdlib': { body: /python/i },
  flask: { body: /hello from Flask/, changed: 'app.py' },
  django: { body: /hello from Django/, variables: { SECRET_KEY: 'only-for-the-test' } },
  'django-asgi': { body: /hello from collected Django/, variables: { DJANGO_SECRET_KEY: 'only-for-the-test' } },
  'flask-factory': { body: /hello from Flask with libpq \d/ },
  'fastapi-src': { body: /hello from FastAPI below src/ },
  fastapi: { body: /hello from FastAPI/ },
  'flask-pipenv': { body: /hello from Flask/ },
  'go-http': { body: /go/i },
  'go-modules': { body: /hello from Go/, changed: 'main.go' },
  'go-workspace': { body: /hello from a workspace of Go/, changed: 'lib/greet/greet.go' },
  'rust-plain': { body: /hello from Rust/, changed: 'src/main.rs' },
  'php-plain': { body: /hello from PHP/ },
  'php-database': { body: /hello from PHP with databases/ },
  'ruby-plain': { body: /hello from Ruby/ },
  rack: { body: /hello from Rack/ },
  sinatra: { body: /hello from Sinatra/, changed: 'app.rb' },
  rails: { body: /hello from Rails/, variables: { SECRET_KEY_BASE: 'only-for-the-test' } },
  'java-plain': { body: /hello from Java/ },
  'elixir-plain': { body: /hello from Elixir/ },
};

const NO_REGISTRY = 'is not among the packages of Debian, and its registry may be out of reach';

/** Fixtures for which only the plan is shown, and why. */
export const PLANNED_ONLY: Readonly<Record<string, string>> = {
  gatsby: 'its image library downloads a part of itself from elsewhere than the registry of npm',
  'fastapi-uv': `uv ${NO_REGISTRY}`,
  'flask-pdm': 'a lockfile of pdm names files of the Python registry',
  'starlette-poetry': 'a lockfile of poetry names files of the Python registry',
  gradio: `Gradio ${NO_REGISTRY}`,
  dash: `Dash ${NO_REGISTRY}`,
  streamlit: `Streamlit ${NO_REGISTRY}`,
  'go-cgo': "Debian's package of go-sqlite3 has no SQLite in it",
  'rust-workspace': `Axum ${NO_REGISTRY}`,
  'actix-web': `Actix Web ${NO_REGISTRY}`,
  axum: `Axum ${NO_REGISTRY}`,
  rocket: `Rocket ${NO_REGISTRY}`,
  warp: `Warp ${NO_REGISTRY}`,
  jekyll: "a gem that it needs is none of those that can be made of Debian's packages",
  'rails-bundled': `jsbundling-rails ${NO_REGISTRY}`,
  laravel: "Debian's packages of PHP are no repository of composer",
  slim: "Debian's packages of PHP are no repository of composer",
  symfony: "Debian's packages of PHP are no repository of composer",
  'spring-boot-maven': `Spring Boot ${NO_REGISTRY}`,
  'spring-boot-modules': `Spring Boot ${NO_REGISTRY}`,
  'gradle-init': 'Gradle downloads itself, from elsewhere than a registry',
  'spring-boot-gradle': `Spring Boot ${NO_REGISTRY}`,
  quarkus: `Quarkus ${NO_REGISTRY}`,
  micronaut: `Micronaut ${NO_REGISTRY}`,
  ktor: `Ktor ${NO_REGISTRY}`,
  phoenix: `Phoenix ${NO_REGISTRY}`,
  fresh: `Fresh ${NO_REGISTRY}`,
  aspnet: 'the .NET SDK is not among the packages of Debian',
  'blazor-wasm': 'the .NET SDK is not among the packages of Debian',
  'dotnet-plain': 'the .NET SDK is not among the packages of Debian',
};
