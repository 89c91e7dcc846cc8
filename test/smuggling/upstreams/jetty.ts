/** Jetty 9 with its default handler, which answers 404; its request log records the requests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const jetty: UpstreamKind = {
  name: 'jetty9',
  refusesUnseen: false,
  command: ({ folder, port, seenFile }) => {
    mkdirSync(join(folder, 'tmp'));
    const file = join(folder, 'jetty.xml');
    writeFileSync(
      file,
      `<?xml version="1.0"?>
<!DOCTYPE Configure PUBLIC "-//Jetty//Configure//EN" "http://www.eclipse.org/jetty/configure_9_3.dtd">
<Configure id="Server" class="org.eclipse.jetty.server.Server">
  <Call name="addConnector"><Arg>
    <New class="org.eclipse.jetty.server.ServerConnector">
      <Arg name="server"><Ref refid="Server"/></Arg>
      <Set name="host">127.0.0.1</Set>
      <Set name="port">${port}</Set>
    </New>
  </Arg></Call>
  <Set name="handler"><New class="org.eclipse.jetty.server.handler.DefaultHandler"/></Set>
  <Set name="requestLog">
    <New class="org.eclipse.jetty.server.CustomRequestLog">
      <Arg><New class="org.eclipse.jetty.server.RequestLogWriter"><Arg>${seenFile}</Arg></New></Arg>
      <Arg>%r</Arg>
    </New>
  </Set>
  <Call name="start"/>
</Configure>
`,
    );
    return {
      argv: [
        'java',
        '-Xmx128m',
        '-XX:TieredStopAtLevel=1',
        `-Djava.io.tmpdir=${folder}/tmp`,
        '-classpath',
        ['server', 'http', 'io', 'util', 'xml'].map((part) => `/usr/share/java/jetty9-${part}.jar`).join(':') +
          ':/usr/share/java/servlet-api.jar',
        'org.eclipse.jetty.xml.XmlConfiguration',
        file,
      ],
    };
  },
};
