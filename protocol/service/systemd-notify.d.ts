declare module 'systemd-notify' {
  interface Options {
    readonly ready?: boolean;
    readonly pid?: number;
    readonly status?: string;
  }
  /** Runs the `systemd-notify` program; rejects when it cannot be run or fails. */
  export default function notify(options?: Options): Promise<unknown>;
}
