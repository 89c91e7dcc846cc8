# Settings and app of a Puma that notes each request. SEEN names the file of the notes, PORT the port on 127.0.0.1.
SEEN = File.open(ENV.fetch("SEEN"), File::WRONLY | File::APPEND | File::CREAT, 0o600)
SEEN.sync = true

bind "tcp://127.0.0.1:#{ENV.fetch("PORT")}"
threads 4, 4

app do |env|
  env["rack.input"].read
  SEEN.syswrite("#{env["REQUEST_METHOD"]} #{env["REQUEST_URI"] || env["REQUEST_PATH"]}\n")
  [200, { "Content-Type" => "text/plain", "Content-Length" => "2" }, ["ok"]]
end
