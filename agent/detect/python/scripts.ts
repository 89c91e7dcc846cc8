/** Python frameworks whose app is a script with its own server, on 127.0.0.1 by default. */

interface ScriptFramework {
  readonly name: string;
  readonly package: string;
  readonly port: number;
  readonly command: (file: string, text: string, listed: ReadonlySet<string>) => string;
}

export const SCRIPT_FRAMEWORKS: readonly ScriptFramework[] = [
  {
    name: 'Streamlit',
    package: 'streamlit',
    port: 8501,
    command: (file) => `streamlit run ${file} --server.address 0.0.0.0 --server.port $PORT --server.headless true`,
  },
  {
    name: 'Gradio',
    package: 'gradio',
    port: 7860,
    command: (file) => `GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python ${file}`,
  },
  {
    name: 'Dash',
    package: 'dash',
    port: 8050,
    command: (file, text, listed) => {
      const server = /^([A-Za-z_]\w*)\s*=\s*\w+\.server\b/m.exec(text)?.[1];
      if (server === undefined || !listed.has('gunicorn')) return `HOST=0.0.0.0 python ${file}`;
      return `gunicorn --bind 0.0.0.0:$PORT ${file.slice(0, -'.py'.length).replaceAll('/', '.')}:${server}`;
    },
  },
];
