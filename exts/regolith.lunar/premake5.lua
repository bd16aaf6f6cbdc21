-- Links the extension into a repo_kit_tools build; pure Python, nothing is compiled.
local ext = get_current_extension_info()
project_ext(ext, { copy_nvidia_ext_licence = false })
repo_build.prebuild_link {
    { "data", ext.target_dir .. "/data" },
    { "docs", ext.target_dir .. "/docs" },
    { "regolith", ext.target_dir .. "/regolith" },
}
