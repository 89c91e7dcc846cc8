/** Error code → how to fix it; defined by vite.config.ts. */
declare const __MENDS__: Readonly<Record<string, string>>;

declare module '*.css';
