# Makes .gem files, and the index of a gem server, from the gems that Debian's packages have installed.
# Called as: ruby gems.rb FOLDER
require 'fileutils'
require 'rubygems/package'
require 'rubygems/util'
require 'tmpdir'

target = File.join(ARGV.fetch(0), 'gems')
FileUtils.mkdir_p(target)

def require_paths_of(spec)
  File.directory?(spec.full_gem_path) ? spec.raw_require_paths : ['lib']
end

# Files of a gem: path on this machine → path in the gem. Older packages spread a gem over the folders of Ruby itself.
def files_of(spec)
  folder = spec.full_gem_path
  found = {}
  if File.directory?(folder)
    Dir.glob('**/*', File::FNM_DOTMATCH, base: folder).each { |path| found[File.join(folder, path)] = path }
  else
    package = `dpkg -S #{spec.loaded_from}`.split(':').first
    `dpkg -L #{package}`.split("\n").each do |path|
      found[path] = path.sub(%r{\A.*/vendor_ruby/(?:\d[\d.]*/)?}, 'lib/') if path.include?('/vendor_ruby/')
      found[path] = File.join(spec.bindir, File.basename(path)) if spec.executables.any? { |name| path == "/usr/bin/#{name}" }
    end
  end
  # Libraries that were compiled: the gem needs no compiler any more.
  Dir.glob('**/*.so', base: spec.extension_dir).each do |path|
    found[File.join(spec.extension_dir, path)] = File.join(require_paths_of(spec).first, path)
  end
  found.select { |path, _| File.file?(path) }
end

Gem::Specification.each do |spec|
  next if spec.default_gem?

  Dir.mktmpdir do |work|
    files = files_of(spec)
    next if files.empty? && spec.name != 'rails'

    files.each do |from, to|
      FileUtils.mkdir_p(File.dirname(File.join(work, to)))
      FileUtils.cp(from, File.join(work, to))
    end
    copy = spec.dup
    copy.files = files.values.uniq
    copy.extensions.clear
    copy.test_files = []
    copy.extra_rdoc_files = []
    copy.require_paths = require_paths_of(spec)
    Dir.chdir(work) { FileUtils.mv(Gem::Package.build(copy, true), target) }
  end
rescue StandardError => e
  warn "#{spec.full_name}: #{e.message}"
end

# What a gem server tells of its gems (Gem::Indexer did this until it left rubygems for a gem of its own).
root = ARGV.fetch(0)
specs = Dir.glob(File.join(target, '*.gem')).map { |path| Gem::Package.new(path).spec }
tuples = specs.map { |spec| [spec.name, spec.version, spec.original_platform.to_s] }
{ 'specs' => tuples, 'latest_specs' => tuples, 'prerelease_specs' => [] }.each do |name, list|
  File.binwrite(File.join(root, "#{name}.4.8.gz"), Gem::Util.gzip(Marshal.dump(list)))
end
quick = File.join(root, 'quick/Marshal.4.8')
FileUtils.mkdir_p(quick)
specs.each do |spec|
  File.binwrite(File.join(quick, "#{spec.original_name}.gemspec.rz"), Gem.deflate(Marshal.dump(spec)))
end
