-- nst-daemon plug-in @VERSION@
--[[
An export target that has photos painted: "nst-daemon: paint".

It touches files and nothing else: photos are put into nst-daemon's exchange folder, and paintings are taken out
of it. No process is started, and nothing that lies there is run. darktable 4.2 and later.

An order is  in/darktable/<id>.tif  and  <id>.tif.yaml  (the sidecar, written last: it is the commit).
The daemon answers in <id>.tif.status, and with a picture in out/darktable/. All that is ours of an order goes
when it has ended. Orders that are open are written down in nst_daemon.orders, in darktable's own folder, so that
the paintings are fetched at the next start.
]]

local dt = require "darktable"

local EXCHANGE = "@EXCHANGE@"
local VERSION = "@VERSION@"
local NAME = "nst_daemon"

local LOOK_MS = 500          -- between looks at the statuses; the daemon writes them once a second
local START_MS = 1000        -- until darktable's main loop runs, generously
local NAP_MS = 100           -- of each sleep: darktable waits for us when it ends
local ANSWER_SECONDS = 3     -- without a status for longer, the daemon is not running
local CANCEL_SECONDS = 15    -- after which an order is taken away, though nobody has confirmed its end
local STYLES_SECONDS = 2     -- between looks at styles.txt
local MESSAGE_WIDTH = 64     -- letters a line
local BLOCK = 1024 * 1024    -- bytes, of copying

local OWN_STYLE = "as nst-daemon's config says"
local SIZES = { "as the photo", "as nst-daemon's config says", "longer side, in px" }
local SIZE_WORDS = { "original", "config", "px" }
local COLOURS = { "the style's", "the photo's, lightness painted", "the photo's, style recoloured" }
local COLOUR_WORDS = { "off", "luminance", "histogram" }
local NOT_RUNNING = 'nst-daemon is not running: start it with "nst-daemon start". '
  .. "The picture waits, and will be painted."

local script_data = {
  metadata = {
    name = "nst-daemon",
    purpose = "paint photos in the style of a picture",
    author = "nst-daemon",
    help = "docs/editors/darktable.md of nst-daemon",
  },
  is_there = false, -- until it is registered
}

if not dt.configuration.has_gui then
  return script_data
end
if dt.configuration.api_version_major < 9 then
  dt.print("nst-daemon's plug-in needs darktable 4.2 or later")
  return script_data
end

-- ── files ────────────────────────────────────────────────────────────────────────────────────────────────

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function closed(file, path, ok, reason)
  local shut, why = file:close()
  if ok and shut then return true end
  os.remove(path)
  return nil, reason or why
end

local function write(path, text)
  local file, reason = io.open(path, "wb")
  if not file then return nil, reason end
  local ok, why = file:write(text)
  return closed(file, path, ok, why)
end

local function copy(source, target)
  local from, reason = io.open(source, "rb")
  if not from then return nil, reason end
  local to, why = io.open(target, "wb")
  if not to then
    from:close()
    return nil, why
  end
  local ok, fault = true, nil
  while ok do
    local block, broken = from:read(BLOCK)
    if not block then
      if broken then ok, fault = nil, broken end
      break
    end
    ok, fault = to:write(block)
  end
  from:close()
  return closed(to, target, ok, fault)
end

local function rename(source, target)
  local ok, reason = os.rename(source, target)
  if not ok and exists(source) and exists(target) then -- Windows puts nothing over what is there
    os.remove(target)
    ok, reason = os.rename(source, target)
  end
  return ok, reason
end

-- The temporary folder is often on another disk, where a rename fails.
local function move(source, target)
  if os.rename(source, target) then return true end
  local ok, reason = copy(source, target)
  os.remove(source)
  return ok, reason
end

-- ── words ────────────────────────────────────────────────────────────────────────────────────────────────

local function clean(text)
  local position = 1
  while true do
    local length, wrong = utf8.len(text, position)
    if length then return text end
    text = text:sub(1, wrong - 1) .. "?" .. text:sub(wrong + 1)
    position = wrong
  end
end

local function quoted(text)
  text = clean(text):gsub('[\\"]', "\\%0")
  text = text:gsub("[%c\127]", function(letter) return ("\\x%02X"):format(letter:byte()) end)
  return '"' .. text .. '"'
end

local function style_key(name)
  return (name:lower():gsub("[%s_%-]+", "_"):gsub("^_", ""):gsub("_$", ""))
end

local function index_of(list, wanted)
  for index, value in ipairs(list) do
    if value == wanted then return index end
  end
  return nil
end

local function count(number, thing)
  return number == 1 and ("1 " .. thing) or (number .. " " .. thing .. "s")
end

local function log(text)
  dt.print_log("nst-daemon: " .. text)
end

-- darktable shows one line, and leaves out its middle where it is too long: that is where the remedy begins.
local function wrapped(text)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and utf8.len(line) + utf8.len(word) >= MESSAGE_WIDTH then
      lines[#lines + 1] = line
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function say(text)
  log(text)
  local shown = wrapped(clean(text)):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })
  dt.print(shown)
end

-- ── what the user chooses ────────────────────────────────────────────────────────────────────────────────

local function remembered(key, kind, default)
  local value = dt.preferences.read(NAME, key, kind)
  if value == nil or value == "" or (kind ~= "bool" and value == 0) then return default end
  return value
end

local box = {}        -- the widgets
local styles = {}     -- as they stand in the list
local styles_read = 0 -- when
local styles_text = nil

local function parse_styles(text)
  local found = {}
  for line in (text or ""):gmatch("[^\r\n]+") do
    local name = line:match("^([^\t]+)")
    if name and utf8.len(name) then found[#found + 1] = name end
  end
  return found
end

-- The list is filled anew only if it has changed. The choice stays: a style that has gone is listed all the same,
-- so that nothing else is painted in silence; nst-daemon holds such a photo, and says what is spelt alike.
local function read_styles()
  styles_read = os.time()
  local text = read(EXCHANGE .. "/styles.txt")
  if text == styles_text and #styles > 0 then return end
  local chosen = styles[box.style.selected] or remembered("style", "string", nil)
  styles_text = text
  styles = parse_styles(text)
  table.insert(styles, 1, OWN_STYLE)
  if chosen and not index_of(styles, chosen) then styles[#styles + 1] = chosen end
  while #box.style > #styles do
    box.style[#box.style] = nil
  end
  for index, name in ipairs(styles) do
    if box.style[index] ~= name then box.style[index] = name end
  end
  box.style.selected = index_of(styles, chosen) or (styles[2] and 2 or 1)
end

local function read_styles_now_and_then()
  if os.time() - styles_read >= STYLES_SECONDS or os.time() < styles_read then read_styles() end
end

local function make_widgets()
  dt.preferences.register(
    NAME,
    "leader",
    "bool",
    "nst-daemon: the painting leads its group",
    "a painting is grouped with its photo; tick this to have the group show the painting",
    true
  )

  box.style = dt.new_widget("combobox") {
    label = "style",
    tooltip = "the picture whose style is painted; the list is nst-daemon's library",
    OWN_STYLE,
  }

  box.px = dt.new_widget("slider") {
    label = "longer side (px)",
    tooltip = "right-click to type a number; larger takes longer, and more memory",
    soft_min = 256,
    soft_max = 4096,
    hard_min = 16,
    hard_max = 16384,
    step = 64,
    digits = 0,
  }
  box.px.value = remembered("px", "integer", 1024)

  box.size = dt.new_widget("combobox") {
    label = "size",
    tooltip = "of the painting; a photo that is smaller than that is enlarged",
    table.unpack(SIZES),
  }
  box.size.selected = index_of(SIZE_WORDS, remembered("size", "string", "config")) or 2
  box.px.sensitive = box.size.selected == 3
  box.size.changed_callback = function(self) box.px.sensitive = self.selected == 3 end

  box.strength = dt.new_widget("slider") {
    label = "strength (%)",
    tooltip = "0 is the photo, 100 the painting",
    soft_min = 0,
    soft_max = 100,
    hard_min = 0,
    hard_max = 100,
    step = 5,
    digits = 0,
  }
  box.strength.value = remembered("strength", "integer", 101) - 1 -- 0 means that nothing is remembered

  box.colours = dt.new_widget("combobox") {
    label = "colours",
    tooltip = "whose colours the painting has",
    table.unpack(COLOURS),
  }
  box.colours.selected = index_of(COLOUR_WORDS, remembered("colours", "string", "off")) or 1

  box.tags = dt.new_widget("check_button") {
    label = "tags nst|… of a photo win",
    tooltip = "a photo that is tagged nst|starry_night is painted in that style, whatever is chosen here; "
      .. "nst|size=2048 is a setting. Two styles make two paintings.",
    value = remembered("tags", "string", "on") == "on",
  }

  box.state = dt.new_widget("label") {
    label = "",
    halign = "start",
    ellipsize = "end",
  }

  box.all = dt.new_widget("box") {
    orientation = "vertical",
    box.style,
    box.size,
    box.px,
    box.strength,
    box.colours,
    box.tags,
    box.state,
    reset_callback = function()
      read_styles()
      box.size.selected = 2
      box.px.value = 1024
      box.strength.value = 100
      box.colours.selected = 1
      box.tags.value = true
    end,
  }
end

local function choice()
  read_styles()
  local style = styles[box.style.selected]
  local chosen = {
    style = style ~= OWN_STYLE and style or nil,
    size = SIZE_WORDS[box.size.selected] or "config",
    px = math.floor(box.px.value + 0.5),
    strength = math.floor(box.strength.value + 0.5),
    colours = COLOUR_WORDS[box.colours.selected] or "off",
    tags = box.tags.value,
  }
  dt.preferences.write(NAME, "style", "string", style or OWN_STYLE)
  dt.preferences.write(NAME, "size", "string", chosen.size)
  dt.preferences.write(NAME, "px", "integer", chosen.px)
  dt.preferences.write(NAME, "strength", "integer", chosen.strength + 1)
  dt.preferences.write(NAME, "colours", "string", chosen.colours)
  dt.preferences.write(NAME, "tags", "string", chosen.tags and "on" or "off")
  return chosen
end

local function settings_of(chosen)
  local set = { format = "same", preserve_color = chosen.colours }
  if chosen.size == "original" then
    set.size = "original"
  elseif chosen.size == "px" then
    set.size = tostring(chosen.px)
  end
  set.strength = ("%d.%02d"):format(chosen.strength // 100, chosen.strength % 100)
  return set
end

-- The same rule as for keywords in a file: nst|mosaic, nst/mosaic, nst:mosaic, style:mosaic, nst:size=2048;
-- of nst|oil|thick the deepest level that is a style.
local function asked_by(tags)
  local found, set = {}, {}
  for _, tag in ipairs(tags) do
    local word = tag:match("^%s*[nN][sS][tT]%s*[|/:](.+)$") or tag:match("^%s*[sS][tT][yY][lL][eE]%s*:(.+)$")
    if word then
      local levels = {}
      for level in word:gmatch("[^|/]+") do
        local name = level:match("^%s*(.-)%s*$")
        if name ~= "" then levels[#levels + 1] = name end
      end
      local deepest = levels[#levels]
      if deepest and word:find("=", 1, true) then
        local key, value = deepest:match("^([%a_]+)%s*=%s*(.-)$")
        if key and value ~= "" then set[key:lower()] = value end
      elseif deepest then
        local style = deepest
        for level = #levels, 1, -1 do
          for index = 2, #styles do -- the first is no style
            if style_key(styles[index]) == style_key(levels[level]) then
              style = styles[index]
              goto found
            end
          end
        end
        ::found::
        if not index_of(found, style) then found[#found + 1] = style end
      end
    end
  end
  return found, set
end

-- ── orders ───────────────────────────────────────────────────────────────────────────────────────────────

-- An order: id, ext, number, image (its id), duplicate, folder, filename (of the original), style (or nil),
-- committed (when), percent, eta, state, batch.
-- A batch: total, orders (all of them), job (the bar), exporting, said (texts), painted, failed, cancelled.
local open = {}          -- orders by id
local next_number = 0
local watching = false
local destroyed = false
local JOURNAL = dt.configuration.config_dir .. "/nst_daemon.orders"

local function folder_in() return EXCHANGE .. "/in/darktable/" end

local function photo_of(order) return folder_in() .. order.id .. "." .. order.ext end

local function is_ending() return dt.control.ending or destroyed end

local function open_orders()
  local list = {}
  for _, order in pairs(open) do list[#list + 1] = order end
  table.sort(list, function(one, other) return one.number < other.number end)
  return list
end

local function field(text)
  return (tostring(text or ""):gsub("[\\\t\r\n]", { ["\\"] = "\\\\", ["\t"] = "\\t", ["\r"] = "\\r", ["\n"] = "\\n" }))
end

local function unfield(text)
  return (text:gsub("\\(.)", { ["\\"] = "\\", t = "\t", r = "\r", n = "\n" }))
end

local function save_journal()
  local lines = {}
  for _, order in ipairs(open_orders()) do
    if not order.cancelled then
      local values = { order.id, order.ext, order.image, order.duplicate, order.folder, order.filename, order.style }
      for index = 1, 7 do values[index] = field(values[index]) end
      lines[#lines + 1] = table.concat(values, "\t") .. "\n"
    end
  end
  if #lines == 0 then
    os.remove(JOURNAL)
    return
  end
  local ok, reason = write(JOURNAL .. ".part", table.concat(lines))
  if ok then ok, reason = rename(JOURNAL .. ".part", JOURNAL) end
  if not ok then log("the open orders could not be written down: " .. tostring(reason)) end
end

local function read_journal()
  local found = {}
  for line in (read(JOURNAL) or ""):gmatch("[^\n]+") do
    local values = {}
    for value in (line .. "\t"):gmatch("([^\t]*)\t") do values[#values + 1] = unfield(value) end
    local id, ext = values[1] or "", values[2] or ""
    if #values == 7 and id:match("^[%w%-]+$") and ext:match("^%w+$") then
      found[#found + 1] = {
        id = id,
        ext = ext,
        image = math.tointeger(tonumber(values[3])) or 0,
        duplicate = math.tointeger(tonumber(values[4])) or 0,
        folder = values[5],
        filename = values[6],
        style = values[7] ~= "" and values[7] or nil,
      }
    end
  end
  return found
end

local function new_id()
  local letters = "abcdefghijklmnopqrstuvwxyz0123456789"
  while true do
    local id = os.date("!%Y%m%dT%H%M%S-")
    for _ = 1, 8 do
      local at = math.random(#letters)
      id = id .. letters:sub(at, at)
    end
    if not open[id] then return id end
  end
end

local function remove_all(order)
  local photo = photo_of(order)
  -- The sidecar first: a photo without one is no order.
  for _, ending in ipairs { ".yaml", ".yaml.part", "", ".status", ".cancel" } do
    os.remove(photo .. ending)
  end
end

local function sidecar_text(order, set)
  local lines = {}
  if order.style then lines[#lines + 1] = "style: " .. quoted(order.style) end
  lines[#lines + 1] = "set:"
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = set[key]
    lines[#lines + 1] = "  " .. key .. ": " .. (value:match("^%d[%d.]*$") and value or quoted(value))
  end
  lines[#lines + 1] = "title: " .. quoted(order.filename)
  lines[#lines + 1] = "whole: true"
  return table.concat(lines, "\n") .. "\n"
end

local function commit(order, set)
  local sidecar = photo_of(order) .. ".yaml"
  open[order.id] = order
  order.committed = os.time()
  table.insert(order.batch.orders, order)
  save_journal()
  local ok, reason = write(sidecar .. ".part", sidecar_text(order, set))
  if ok then ok, reason = rename(sidecar .. ".part", sidecar) end
  if not ok then
    order.ended = true
    open[order.id] = nil
    save_journal()
  end
  return ok, reason
end

local function forget(order)
  order.ended = true
  open[order.id] = nil
  save_journal()
  remove_all(order)
end

-- Two photos with the same trouble are one message.
local function tell(batch, text)
  if not batch.said[text] then
    batch.said[text] = true
    say(text)
  end
end

local function trouble(order, error, remedy)
  error = error and error ~= "" and error or "no reason was given"
  local reason = error .. (remedy and remedy ~= "" and " " .. remedy or "")
  if order.trouble == reason then return end -- a status is read many times
  order.trouble = reason
  local batch = order.batch
  local text = (reason:find(order.filename, 1, true) and "" or order.filename .. ": ") .. reason
  batch.last_trouble = text
  if batch.said[reason] then
    log(text)
  else
    batch.said[reason] = true
    say(text)
  end
end

-- ── paintings ────────────────────────────────────────────────────────────────────────────────────────────

-- What a status names is loaded only if it lies where results lie, and is a picture.
local function result_path(result)
  if not result or result:find("[%c\\:]") or not result:find("^out/darktable/[^/]+$") then return nil end
  if result:find("..", 1, true) then return nil end
  local ext = (result:match("%.(%w+)$") or ""):lower()
  if not index_of({ "tif", "tiff", "png", "jpg" }, ext) then return nil end
  return EXCHANGE .. "/" .. result, ext, result:match("^out/darktable/[^.]+%.(.+)%.%w+$")
end

local function is_it(image, order)
  return image.filename == order.filename and image.duplicate_index == order.duplicate
end

-- By its id, else by its place: the library may have been made anew. Nil where it is not in the library now.
local function find_original(order)
  if order.image > 0 then
    local image = dt.database.get_image(order.image)
    if image and is_it(image, order) then return image end
  end
  for number = 1, #dt.films do -- ipairs runs over the end of both, which is an error
    local film = dt.films[number]
    if film.path == order.folder then
      for index = 1, #film do
        if is_it(film[index], order) then return film[index] end
      end
    end
  end
  return nil
end

-- A name is free only if no darktable sidecar waits for it: that of a picture that has been deleted.
local function free_name(folder, stem, ext)
  local number = 1
  while true do
    local name = folder .. "/" .. stem .. (number > 1 and "-" .. number or "") .. "." .. ext
    if not exists(name) and not exists(name .. ".xmp") then return name end
    number = number + 1
  end
end

local function place_beside(order, source, ext, style, folder)
  local stem = order.filename:match("^(.+)%.[^.]*$") or order.filename
  if order.duplicate > 0 then stem = ("%s_%02d"):format(stem, order.duplicate) end
  style = (style or order.style or "painted"):gsub('[/\\:*?"<>|%c]', "_")
  local part = folder .. "/.nst-daemon-" .. order.id .. ".part"
  local ok, reason = copy(source, part)
  if not ok then return nil, reason end
  local target = free_name(folder, stem .. "." .. style, ext)
  ok, reason = os.rename(part, target)
  if not ok then
    os.remove(part)
    return nil, reason
  end
  return target
end

local function take_after(painting, original)
  local names = {}
  for _, tag in ipairs(original:get_tags()) do
    names[tag.name] = true
    if not tag.name:find("^darktable|") then painting:attach_tag(tag) end
  end
  -- Out of sea|beach an export makes the bare words sea and beach, and the import tags.
  for _, tag in ipairs(painting:get_tags()) do
    if not tag.name:find("^darktable|") and not names[tag.name] then painting:detach_tag(tag) end
  end
  painting.rating = original.rating
  for _, colour in ipairs { "red", "yellow", "green", "blue", "purple" } do
    painting[colour] = original[colour]
  end
  painting:group_with(original)
  if dt.preferences.read(NAME, "leader", "bool") then painting:make_group_leader() end
end

local function fetch(order, result)
  local path, ext, style = result_path(result)
  if not path then
    return nil, ("nst-daemon named a result that is none of ours: %s."):format(clean(result or "nothing")),
      "Update the plug-in: nst-daemon editors install darktable."
  end
  if not exists(path) then
    return nil, "its painting has gone from the exchange folder.", "Export the photo once more."
  end
  local original = find_original(order)
  local folder = original and original.path or order.folder
  local target, reason = place_beside(order, path, ext, style, folder)
  if not target then
    return nil, ("its painting could not be put beside it (%s)."):format(reason),
      ("It is %s; darktable's next start tries again."):format(path), true
  end
  os.remove(path)
  local ok, painting = pcall(dt.database.import, target)
  if not ok or not painting then
    return nil, ("its painting is %s, and could not be imported."):format(target), "Import that file yourself."
  end
  if original then take_after(painting, original) end
  log(("%s is painted: %s"):format(order.filename, target))
  return target
end

-- ── watching ─────────────────────────────────────────────────────────────────────────────────────────────

local function read_status(order)
  local text = read(photo_of(order) .. ".status")
  if not text or text == "" then return nil end
  local status = {}
  for line in text:gmatch("[^\r\n]+") do
    local key, value = line:match("^([^=]+)=(.*)$")
    if key then status[key] = value end
  end
  return status
end

local function cancel(batch)
  batch.cancelled = true
  for _, order in ipairs(batch.orders) do
    if not order.ended then
      order.cancelled = os.time()
      write(photo_of(order) .. ".cancel", "")
    end
  end
  save_journal()
end

local function look_at_cancelled(order)
  local status = read_status(order)
  local state = status and status.state
  local is_over = not status or state == "done" or state == "failed" or state == "cancelled"
  if is_over or os.time() - order.cancelled >= CANCEL_SECONDS then
    local path = status and result_path(status.result)
    if path then os.remove(path) end
    forget(order)
  end
end

local function look_for_answer(order)
  if not exists(photo_of(order) .. ".yaml") then
    trouble(order, "its order has gone from the exchange folder.", "Export the photo once more.")
    order.batch.failed = order.batch.failed + 1
    forget(order)
  elseif os.time() - order.committed > ANSWER_SECONDS then
    tell(order.batch, NOT_RUNNING)
    order.state = "unanswered"
  end
end

local function end_with(order, status)
  local batch = order.batch
  if status.state == "done" then
    local target, error, remedy, is_kept = fetch(order, status.result)
    if target then
      batch.painted = batch.painted + 1
    else
      batch.failed = batch.failed + 1
      trouble(order, error, remedy)
    end
    if is_kept then -- stays written down
      order.ended = true
      order.set_aside = true
      return
    end
  elseif status.state == "failed" then
    batch.failed = batch.failed + 1
    trouble(order, status.error, status.remedy)
  else
    batch.withdrawn = batch.withdrawn + 1
    log(order.filename .. ": cancelled. " .. (status.error or ""))
  end
  forget(order)
end

local function look_at(order)
  if order.set_aside then return end
  if order.cancelled then return look_at_cancelled(order) end
  local status = read_status(order)
  if not status then return look_for_answer(order) end
  order.state = status.state
  order.percent = tonumber(status.percent) or order.percent or 0
  order.eta = tonumber(status.eta)
  if status.state == "done" or status.state == "failed" or status.state == "cancelled" then
    end_with(order, status)
  elseif status.error and status.error ~= "" then -- held, or waiting for a disk or a device
    trouble(order, status.error, status.remedy)
  end
end

local function spell_seconds(seconds)
  if seconds < 90 then return ("%d s left"):format(seconds) end
  return ("%d min left"):format((seconds + 30) // 60)
end

local function state_line()
  local running, waiting, held, unanswered = nil, 0, 0, 0
  for _, order in ipairs(open_orders()) do
    if not order.cancelled and not order.set_aside then
      if order.state == "running" and not running then
        running = order
      elseif order.state == "held" then
        held = held + 1
      elseif order.state == "unanswered" then
        unanswered = unanswered + 1
      else
        waiting = waiting + 1
      end
    end
  end
  local parts = {}
  if running then
    parts[#parts + 1] = ("%s: %d %%"):format(clean(running.filename), math.floor(running.percent))
      .. (running.eta and ", " .. spell_seconds(math.floor(running.eta)) or "")
  end
  if waiting > 0 then parts[#parts + 1] = waiting .. (waiting == 1 and " waits" or " wait") end
  if held > 0 then parts[#parts + 1] = held .. (held == 1 and " is held" or " are held") end
  if unanswered > 0 then parts[#parts + 1] = "nst-daemon is not running" end
  return table.concat(parts, " · ")
end

local shown = ""

-- The main loop draws; once darktable ends nobody does, and who asked for it would wait for ever.
local function show_state(text, tooltip)
  if text == shown or is_ending() then return end
  shown = text
  box.state.label = text
  box.state.tooltip = tooltip or text
end

local function show_progress(batch)
  local sum = 0
  for _, order in ipairs(batch.orders) do
    sum = sum + (order.ended and 100 or math.max(0, math.min(100, order.percent or 0)))
  end
  local share = sum / 100 / math.max(batch.total, #batch.orders, 1)
  if batch.job and batch.job.valid then batch.job.percent = math.min(share, 1) end
end

local function has_open(batch)
  for _, order in ipairs(batch.orders) do
    if not order.ended then return true end
  end
  return false
end

local batches = {}

local function end_batch(batch)
  if batch.job and batch.job.valid then batch.job.valid = false end
  batch.job = nil
  local text
  if batch.cancelled then
    text = ("Cancelled. %s painted before."):format(batch.painted == 0 and "None" or count(batch.painted, "picture"))
  elseif #batch.orders == 0 then
    return
  elseif batch.failed == 0 and batch.withdrawn == 0 then
    text = ("%s painted."):format(count(batch.painted, "picture"))
  else
    text = ("%d of %s painted."):format(batch.painted, count(#batch.orders, "picture"))
  end
  show_state(text, batch.last_trouble and text .. "\n" .. batch.last_trouble)
  say(text)
end

local function look_at_all()
  for _, order in ipairs(open_orders()) do
    local ok, fault = pcall(look_at, order)
    if not ok then -- one order must not end the watching of the others
      trouble(order, tostring(fault), "The order stays; darktable's next start tries again.")
      order.ended, order.set_aside = true, true
    end
  end
  for index = #batches, 1, -1 do
    local batch = batches[index]
    if batch.job and batch.job.valid then show_progress(batch) end
    if batch.cancelled and batch.job and batch.job.valid then batch.job.valid = false end
    if not batch.exporting and not has_open(batch) then
      table.remove(batches, index)
      end_batch(batch)
    end
  end
  local line = state_line()
  if line ~= "" then show_state(line) end
end

local function nap(milliseconds)
  for _ = 1, milliseconds // NAP_MS do
    if is_ending() then return end
    dt.control.sleep(NAP_MS)
  end
end

local function watch()
  while #batches > 0 and not is_ending() do
    look_at_all()
    nap(LOOK_MS)
  end
  watching = false
end

local function begin_batch(total)
  local batch = {
    total = total,
    orders = {},
    said = {},
    painted = 0,
    failed = 0,
    withdrawn = 0,
    exporting = true,
  }
  batch.job = dt.gui.create_job(
    "nst-daemon: paint " .. count(total, "picture"),
    true,
    function() cancel(batch) end
  )
  table.insert(batches, batch)
  if not watching then
    watching = true
    dt.control.dispatch(watch)
  end
  return batch
end

-- ── the export ───────────────────────────────────────────────────────────────────────────────────────────

local function supported(_, format)
  -- Called once for each format; the result comes back in the same one.
  return index_of({ "tif", "tiff", "png", "jpg" }, (format.extension or ""):lower()) ~= nil
end

local function initialize(_, _, images, _, extra)
  local probe = folder_in() .. new_id() .. ".probe"
  local ok, reason = write(probe, "")
  if not ok then
    say(
      ("nst-daemon's exchange folder cannot be written (%s). "):format(reason)
        .. 'Start it with "nst-daemon start", or run "nst-daemon editors install darktable" again.'
    )
    return {} -- nothing is exported
  end
  os.remove(probe)
  extra.choice = choice()
  extra.total = #images
  return nil
end

local function order_of(image, ext, batch, style)
  next_number = next_number + 1
  return {
    id = new_id(),
    ext = ext,
    number = next_number,
    image = image.id,
    duplicate = image.duplicate_index,
    folder = image.path,
    filename = image.filename,
    style = style,
    batch = batch,
    percent = 0,
  }
end

local function orders_for(image, ext, extra)
  local chosen = extra.choice
  local set = settings_of(chosen)
  local wanted = { chosen.style or false }
  if chosen.tags then
    local names = {}
    for _, tag in ipairs(image:get_tags()) do names[#names + 1] = tag.name end
    local by_tag, overrides = asked_by(names)
    for key, value in pairs(overrides) do set[key] = value end
    if #by_tag > 0 then wanted = by_tag end
  end
  local orders = {}
  for _, style in ipairs(wanted) do
    orders[#orders + 1] = order_of(image, ext, extra.batch, style or nil)
  end
  return orders, set
end

-- The exported file has the bare name of its photo, in a folder that all photos share: it is taken away at once.
local function store(_, image, _, filename, _, total, _, extra)
  extra.batch = extra.batch or begin_batch(extra.total or total)
  local batch = extra.batch
  if batch.cancelled then
    os.remove(filename)
    return
  end
  local ext = (filename:match("%.(%w+)$") or "tif"):lower()
  local orders, set = orders_for(image, ext, extra)
  for index, order in ipairs(orders) do
    local take = index < #orders and copy or move
    local ok, reason = take(filename, photo_of(order))
    if ok then ok, reason = commit(order, set) end
    if not ok then
      batch.failed = batch.failed + 1
      remove_all(order)
      trouble(order, ("it could not be put into nst-daemon's exchange folder (%s)."):format(reason), "Free some disk space.")
    end
  end
  os.remove(filename)
end

local function finalize(_, _, extra)
  if extra.batch then extra.batch.exporting = false end
end

-- ── what an earlier run has left ─────────────────────────────────────────────────────────────────────────

local function fetch_left()
  local left = {}
  for _, order in ipairs(read_journal()) do
    if not open[order.id] then
      if exists(photo_of(order) .. ".yaml") or exists(photo_of(order) .. ".status") then
        left[#left + 1] = order
      else
        log(order.filename .. ": its order has gone from the exchange folder")
        remove_all(order) -- a photo whose sidecar never came
      end
    end
  end
  if #left == 0 then
    save_journal()
    return
  end
  log(("%s open from an earlier run"):format(count(#left, "order")))
  local batch = begin_batch(#left)
  for _, order in ipairs(left) do
    next_number = next_number + 1
    order.number = next_number
    order.committed = os.time()
    order.percent = 0
    order.batch = batch
    open[order.id] = order
    table.insert(batch.orders, order)
  end
  batch.exporting = false
  save_journal()
end

-- ── registration ─────────────────────────────────────────────────────────────────────────────────────────

-- Widgets and preferences are made by darktable's main loop. A script that asks for one while that is just
-- beginning may wait for ever, and darktable with it.
local function begin()
  nap(START_MS)
  if is_ending() then return end
  make_widgets()
  read_styles()
  dt.register_storage(NAME, "nst-daemon: paint", store, finalize, supported, initialize, box.all)
  dt.register_event(NAME, "mouse-over-image-changed", read_styles_now_and_then)
  script_data.is_there = true
  log("plug-in " .. VERSION .. " for " .. EXCHANGE)
  fetch_left()
end

dt.control.dispatch(begin)

script_data.destroy = function()
  destroyed = true
  if script_data.is_there then
    dt.destroy_event(NAME, "mouse-over-image-changed")
    dt.destroy_storage(NAME)
  end
end

return script_data
