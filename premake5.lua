-- For a checkout dropped into a Kit repository; loading the extension with --ext-folder needs no build at all.
local kit_template = "_repo/deps/repo_kit_tools/kit-template/premake5.lua"
if not os.isfile(kit_template) then
    error("run inside a repo_kit_tools checkout, or load the extension with --ext-folder exts")
end
dofile(kit_template)
