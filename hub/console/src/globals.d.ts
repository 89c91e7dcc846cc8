/** Error code → what to do about it; filled in by vite.config.ts. */
declare const __MENDS__: Readonly<Record<string, string>>;

declare module '*.css';
