//! Scenarios as data (`tests/scenarios`), played by a driver in any language: the same steps, the same answers.
//!
//! A driver is a program that calls the library as a shell does and decides nothing. It reads a command on a line, such as
//! `{"id":1,"do":"send_text","with":{"chat":"chat_…","text":"Bonjour"}}`, and writes `{"id":1,"ok":"msg_…"}` or
//! `{"id":1,"error":{"kind":"AskUser","code":"text.too_long"}}`; commands may overlap. What a listener or a payment sheet
//! hears it writes as `{"event":…}`. Each person is a process of their own, so that one can be killed.
//!
//! A step is one of
//! - `{"who":"alice","do":"send_text","with":{…}}` with `"gives":pattern`, `"fails":"code"` or `"dies":true`, and `"as":"name"`
//!   to remember the answer;
//! - `{"who":"bob","until":"page","with":{…},"gives":pattern}`: asked again after every change that Bob hears of;
//! - `{"who":"alice","begin":"sync",…,"as":"name"}` and later `{"who":"alice","end":"name","fails":"call.canceled"}`;
//! - `{"who":"alice","end_all":["one","other"],"gives":[…]}`: what several that were begun came to, values and codes, sorted;
//! - `{"who":"alice","hears":"sheet","gives":pattern}`: an event;
//! - `{"who":"alice","start":{…}}` and `{"who":"alice","kill":true}`;
//! - `{"stage":"relay_stops"}`: something happens in town.
//!
//! `"$name"` and `"$name.0.uid"` stand for what was remembered, `-1` for the last of a list. A pattern that is an object
//! names the fields that count; `"*"` is anything.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::shop::Bakery;
use crate::{PATIENCE, Town};

/// Why a scenario failed: what was being done, and what was there instead.
pub type Failed = String;

/// How a driver is started.
#[derive(Clone, Debug)]
pub struct Driver {
    pub program: PathBuf,
    pub args: Vec<String>,
}

/// The scenarios there are, by their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn all() -> Result<Vec<(String, PathBuf)>, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut all: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "json").then_some((name, path))
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Plays one scenario to its end.
///
/// # Errors
/// The first step that went otherwise.
pub async fn play(path: &Path, driver: &Driver) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let scenario: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let steps = scenario["steps"].as_array().ok_or("a scenario has steps")?.clone();
    let town = Town::with_real_time().await;
    let mut play = Play {
        dir: town.dir.path().to_owned(),
        town,
        bakery: None,
        driver: driver.clone(),
        people: HashMap::new(),
        remembered: Map::new(),
    };
    play.remembered.insert("relay".to_owned(), json!(play.town.relay_url()));
    play.remembered.insert("dir".to_owned(), json!(play.dir));
    if scenario["shop"] == true {
        let bakery = play.town.bakery().await;
        play.remembered.insert("bakery".to_owned(), json!({ "link": bakery.link }));
        play.bakery = Some(bakery);
    }
    for name in scenario["cast"].as_array().into_iter().flatten() {
        let name = name.as_str().ok_or("the cast are names")?;
        play.start(name, &json!({ "account": true })).await.map_err(|why| format!("{name} arrives: {why}"))?;
    }
    for (number, step) in steps.iter().enumerate() {
        let played = timeout(PATIENCE * 2, play.step(step)).await.unwrap_or_else(|_| Err("it never ended".to_owned()));
        played.map_err(|why| format!("step {}, {step}: {why}", number + 1))?;
    }
    for (name, person) in play.people.drain() {
        person.leaves().await.map_err(|why| format!("{name} leaves: {why}"))?;
    }
    if let Some(mut bakery) = play.bakery.take() {
        if bakery.till.is_some() {
            bakery.closes().await;
        }
        if bakery.provider.is_some() {
            bakery.provider_goes_down().await;
        }
    }
    play.town.stop_relay().await;
    Ok(())
}

/// Runs the example of a language's documentation: it meets Bob (`FRIEND`) at a relay (`RELAY`), says "Bonjour" and ends.
/// Where a program is started elsewhere, an argument `{dir}` stands for the folder that it belongs into.
///
/// # Errors
/// When it fails, says something else, or Bob hears nothing.
pub async fn example(driver: &Driver) -> Result<(), Failed> {
    let mut town = Town::with_real_time().await;
    let bob = town.arrives("bob").await;
    bob.syncs().await;
    let mut command = Command::new(&driver.program);
    let dir = town.dir.path();
    let args = driver.args.iter().map(|arg| if arg == "{dir}" { dir.as_os_str() } else { arg.as_ref() });
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    command.env("RELAY", town.relay_url()).env("FRIEND", bob.link()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| format!("{}: {error}", driver.program.display()))?;
    let output = timeout(PATIENCE, child.wait_with_output()).await.map_err(|_| "the example does not end")?;
    let output = output.map_err(|error| format!("{}: {error}", driver.program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !said.trim_end().ends_with("Bonjour") {
        return Err(format!("the example ended with {} and said {said:?}", output.status));
    }
    bob.until("what the example says", |bob| bob.chats().iter().any(|row| row.preview == "Bonjour").then_some(()))
        .await;
    town.stop_relay().await;
    Ok(())
}

struct Play {
    town: Town,
    dir: PathBuf,
    bakery: Option<Bakery>,
    driver: Driver,
    people: HashMap<String, Actor>,
    remembered: Map<String, Value>,
}

impl Play {
    async fn step(&mut self, step: &Value) -> Result<(), Failed> {
        let step = self.filled(step)?;
        if let Some(what) = step["stage"].as_str() {
            return self.stage(what, &step).await;
        }
        let who = step["who"].as_str().ok_or("a step says who, or what happens on the stage")?.to_owned();
        if let Some(start) = step.get("start") {
            return self.start(&who, start).await;
        }
        if step["kill"] == true {
            return self.people.remove(&who).ok_or("nobody to kill")?.dies().await;
        }
        let person = self.people.get_mut(&who).ok_or_else(|| format!("{who} is not there"))?;
        let with = &step["with"];
        let outcome = if let Some(what) = step["do"].as_str() {
            let id = person.ask(what, with).await?;
            person.answer(id).await?
        } else if let Some(what) = step["until"].as_str() {
            person.until(what, with, &step["gives"]).await?
        } else if let Some(what) = step["begin"].as_str() {
            let id = person.ask(what, with).await?;
            let name = step["as"].as_str().ok_or("what is begun has a name")?;
            person.begun.insert(name.to_owned(), id);
            return Ok(());
        } else if let Some(name) = step["end"].as_str() {
            let id = person.begun.remove(name).ok_or("nothing of that name was begun")?;
            person.answer(id).await?
        } else if let Some(names) = step["end_all"].as_array() {
            // Which of them came first is not said; what they came to, all together, is.
            let mut outcomes = Vec::new();
            for name in names {
                let id =
                    person.begun.remove(name.as_str().unwrap_or_default()).ok_or("nothing of that name was begun")?;
                outcomes.push(match person.answer(id).await? {
                    Outcome::Gave(Value::String(value)) => value,
                    Outcome::Failed(error) => error["code"].as_str().unwrap_or_default().to_owned(),
                    other @ (Outcome::Gave(_) | Outcome::Died) => return Err(format!("{other:?}")),
                });
            }
            outcomes.sort();
            Outcome::Gave(json!(outcomes))
        } else if let Some(what) = step["hears"].as_str() {
            Outcome::Gave(person.hears(what, &step["gives"]).await?)
        } else {
            return Err("no such step".to_owned());
        };
        if step["dies"] == true {
            let person = self.people.remove(&who).ok_or("nobody to die")?;
            person.dies().await?;
            return match outcome {
                Outcome::Died => Ok(()),
                other @ (Outcome::Gave(_) | Outcome::Failed(_)) => Err(format!("{who} lived on: {other:?}")),
            };
        }
        let value = match (outcome, step.get("fails").and_then(Value::as_str)) {
            (Outcome::Failed(error), Some(expected)) if error["code"] == expected => return Ok(()),
            (Outcome::Gave(value), None) => value,
            (other, Some(expected)) => return Err(format!("it should fail with {expected}: {other:?}")),
            (other, None) => return Err(format!("{other:?}")),
        };
        if let Some(pattern) = step.get("gives")
            && !fits(pattern, &value)
        {
            return Err(format!("it gave {value}"));
        }
        if let Some(name) = step["as"].as_str() {
            self.remembered.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// A person's process starts: `account` makes one, `crash_at` pulls the plug at a point (`core/sqlcipher/src/crash.rs`),
    /// `in` opens the folder of somebody else, `vault` says which key is in it.
    async fn start(&mut self, who: &str, start: &Value) -> Result<(), Failed> {
        let folder = start["in"].as_str().unwrap_or(who);
        let mut person = Actor::start(&self.driver, who, start["crash_at"].as_str())?;
        let open = json!({
            "dir": self.dir.join(folder),
            "key": self.dir.join(format!("{folder}.key")),
            "vault": start["vault"].as_str().unwrap_or("file"),
        });
        let id = person.ask("open", &open).await?;
        let opened = person.answer(id).await?;
        match (opened, start["fails"].as_str()) {
            (Outcome::Failed(error), Some(expected)) if error["code"] == expected => return person.leaves().await,
            (Outcome::Gave(_), None) => {}
            (other, _) => return Err(format!("opening: {other:?}")),
        }
        for (what, with) in
            [("watch_chats", json!({ "name": "chats", "rows": 50 })), ("watch_connection", json!({ "name": "line" }))]
        {
            person.does(what, &with).await?;
        }
        if start["account"] == true {
            let me = person.does("create_account", &json!({ "relay": self.town.relay_url() })).await?;
            self.remembered.insert(who.to_owned(), me);
        }
        self.people.insert(who.to_owned(), person);
        Ok(())
    }

    async fn stage(&mut self, what: &str, step: &Value) -> Result<(), Failed> {
        let bakery = || "there is no shop in this scenario".to_owned();
        match what {
            "relay_stops" => self.town.stop_relay().await,
            "relay_starts" => self.town.start_relay().await,
            "till_closes" => self.bakery.as_mut().ok_or_else(bakery)?.closes().await,
            "till_opens" => self.bakery.as_mut().ok_or_else(bakery)?.opens(&self.town).await,
            "provider_goes_down" => self.bakery.as_mut().ok_or_else(bakery)?.provider_goes_down().await,
            "provider_comes_back" => self.bakery.as_mut().ok_or_else(bakery)?.provider_comes_back(&self.town).await,
            // A person types a practice card into the provider's page.
            "card" => {
                let url = step["url"].as_str().ok_or("which page?")?;
                let number = step["number"].as_str().ok_or("which card?")?;
                let answer = comptoir_sandbox::type_card(url, number).await.map_err(|error| error.to_string())?;
                let status = step["status"].as_u64().unwrap_or(200);
                if u64::from(answer.status) != status {
                    return Err(format!("the page answered {}: {}", answer.status, answer.body));
                }
            }
            "charges" => {
                let charges = json!(self.bakery.as_ref().ok_or_else(bakery)?.charges().await);
                if !fits(&step["gives"], &charges) {
                    return Err(format!("the provider charged {charges}"));
                }
            }
            "flip_a_bit" => {
                let path = step["path"].as_str().ok_or("of which file?")?;
                let mut bytes = std::fs::read(path).map_err(|error| error.to_string())?;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(path, bytes).map_err(|error| error.to_string())?;
            }
            // The brightness plane of a picture, in rows that are longer than the picture is wide, as cameras have them.
            "plane_of" => {
                let path = |name: &str| step[name].as_str().ok_or("which file?");
                let picture = image::open(path("picture")?).map_err(|error| error.to_string())?.into_luma8();
                let (width, height, row_stride) = (picture.width(), picture.height(), picture.width() + 13);
                let mut plane = vec![0; (row_stride * height) as usize];
                for (row, pixels) in plane.chunks_mut(row_stride as usize).zip(picture.rows()) {
                    row.iter_mut().zip(pixels).for_each(|(byte, pixel)| *byte = pixel.0[0]);
                }
                std::fs::write(path("path")?, plane).map_err(|error| error.to_string())?;
                let size = json!({ "width": width, "height": height, "row_stride": row_stride });
                self.remembered.insert("plane".to_owned(), size);
            }
            "nothing_is_locked" => nothing_is_locked(Path::new(step["dir"].as_str().ok_or("in which folder?")?))?,
            other => return Err(format!("nothing on the stage is called {other}")),
        }
        Ok(())
    }

    /// The step with everything that was remembered in its place.
    fn filled(&self, value: &Value) -> Result<Value, Failed> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(path) => self.remembered_at(path)?,
                None => Value::String(text.replace("{dir}", &self.dir.to_string_lossy())),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.filled(item)).collect::<Result<_, _>>()?),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| Ok((name.clone(), self.filled(field)?)));
                Value::Object(fields.collect::<Result<_, Failed>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn remembered_at(&self, path: &str) -> Result<Value, Failed> {
        let mut parts = path.split('.');
        let mut value = self.remembered.get(parts.next().unwrap_or_default());
        for part in parts {
            value = value.and_then(|value| match (value, part.parse::<i64>()) {
                (Value::Array(items), Ok(index)) => {
                    let from_end = usize::try_from(-index).ok().and_then(|back| items.len().checked_sub(back));
                    items.get(usize::try_from(index).ok().or(from_end)?)
                }
                _ => value.get(part),
            });
        }
        value.cloned().ok_or_else(|| format!("nothing is remembered as {path}"))
    }
}

/// Looks what the system says of locks on the files of a folder.
///
/// # Errors
/// When one is locked.
#[cfg(target_os = "linux")]
pub fn nothing_is_locked(dir: &Path) -> Result<(), Failed> {
    use std::os::unix::fs::MetadataExt as _;
    let io = |error: std::io::Error| error.to_string();
    let locks = std::fs::read_to_string("/proc/locks").map_err(io)?;
    for file in std::fs::read_dir(dir).map_err(io)? {
        let file = file.map_err(io)?;
        let inode = format!(":{}", file.metadata().map_err(io)?.ino());
        // `1: FLOCK ADVISORY WRITE 1234 08:01:5678 0 EOF`
        if let Some(lock) = locks.lines().find(|lock| lock.split(' ').any(|word| word.ends_with(&inode))) {
            return Err(format!("{} is locked: {lock}", file.path().display()));
        }
    }
    Ok(())
}

/// Other systems do not say.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn nothing_is_locked(_: &Path) -> Result<(), Failed> {
    Ok(())
}

/// Whether a value is what a pattern says.
fn fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(fields), Value::Object(_)) => fields.iter().all(|(name, field)| fits(field, &value[name])),
        (Value::Array(patterns), Value::Array(values)) => {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(pattern, value)| fits(pattern, value))
        }
        (pattern, value) => pattern == value,
    }
}

#[derive(Debug)]
enum Outcome {
    Gave(Value),
    /// Kind, code and detail.
    Failed(Value),
    /// The process ended without an answer.
    Died,
}

/// A person: a process of a driver.
struct Actor {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    next_id: u64,
    answers: HashMap<u64, Outcome>,
    events: VecDeque<Value>,
    /// Chats that are watched, so that `until` hears of every change in them.
    watched: Vec<Value>,
    begun: HashMap<String, u64>,
}

impl Actor {
    fn start(driver: &Driver, name: &str, crash_at: Option<&str>) -> Result<Self, Failed> {
        let mut command = Command::new(&driver.program);
        command.args(&driver.args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(crash_at) = crash_at {
            command.env("COMPTOIR_CRASH_AT", crash_at);
        }
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", driver.program.display()))?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        Ok(Self {
            name: name.to_owned(),
            child,
            stdin,
            lines,
            next_id: 1,
            answers: HashMap::new(),
            events: VecDeque::new(),
            watched: Vec::new(),
            begun: HashMap::new(),
        })
    }

    async fn ask(&mut self, what: &str, with: &Value) -> Result<u64, Failed> {
        let id = self.next_id;
        self.next_id += 1;
        let line = format!("{}\n", json!({ "id": id, "do": what, "with": with }));
        // A process that is gone says so when its answer is waited for.
        let _ = self.stdin.write_all(line.as_bytes()).await;
        let _ = self.stdin.flush().await;
        Ok(id)
    }

    async fn answer(&mut self, id: u64) -> Result<Outcome, Failed> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(answer);
            }
            if !self.listen().await? {
                return Ok(Outcome::Died);
            }
        }
    }

    async fn does(&mut self, what: &str, with: &Value) -> Result<Value, Failed> {
        let id = self.ask(what, with).await?;
        match self.answer(id).await? {
            Outcome::Gave(value) => Ok(value),
            other @ (Outcome::Failed(_) | Outcome::Died) => Err(format!("{what}: {other:?}")),
        }
    }

    /// Takes the next line. False when there is none any more.
    async fn listen(&mut self) -> Result<bool, Failed> {
        let line =
            timeout(PATIENCE, self.lines.next_line()).await.map_err(|_| format!("{} says nothing", self.name))?;
        let Some(line) = line.map_err(|error| format!("{}: {error}", self.name))? else {
            return Ok(false);
        };
        let said: Value =
            serde_json::from_str(&line).map_err(|error| format!("{} says {line:?}: {error}", self.name))?;
        let Some(id) = said["id"].as_u64() else {
            self.events.push_back(said);
            return Ok(true);
        };
        let outcome = match said.get("error") {
            Some(error) => Outcome::Failed(error.clone()),
            None => Outcome::Gave(said["ok"].clone()),
        };
        self.answers.insert(id, outcome);
        Ok(true)
    }

    /// Asks until the answer fits: at once, and after each change.
    async fn until(&mut self, what: &str, with: &Value, pattern: &Value) -> Result<Outcome, Failed> {
        let chat = &with["chat"];
        loop {
            // What was heard before this question is no reason to ask again.
            self.events.retain(|event| event["event"] != "changed");
            if chat.is_string() && !self.watched.contains(chat) {
                let watch = json!({ "name": format!("chat {}", self.watched.len()), "chat": chat, "rows": 50 });
                let id = self.ask("watch_chat", &watch).await?;
                // A chat that somebody else begins is not there yet.
                if let Outcome::Gave(_) = self.answer(id).await? {
                    self.watched.push(chat.clone());
                }
            }
            let id = self.ask(what, with).await?;
            let value = match self.answer(id).await? {
                Outcome::Gave(value) if fits(pattern, &value) => return Ok(Outcome::Gave(value)),
                Outcome::Gave(value) | Outcome::Failed(value) => value,
                Outcome::Died => return Ok(Outcome::Died),
            };
            while !self.events.iter().any(|event| event["event"] == "changed") {
                let heard = self.listen().await.map_err(|why| format!("{why}; the last answer was {value}"))?;
                if !heard {
                    return Ok(Outcome::Died);
                }
            }
        }
    }

    /// Waits for an event that fits.
    async fn hears(&mut self, what: &str, pattern: &Value) -> Result<Value, Failed> {
        loop {
            let fitting = |event: &Value| event["event"] == what && (pattern.is_null() || fits(pattern, event));
            if let Some(index) = self.events.iter().position(fitting) {
                return Ok(self.events.remove(index).unwrap_or_default());
            }
            let heard = self.listen().await.map_err(|why| format!("{why}; heard before: {:?}", self.events))?;
            if !heard {
                return Err("the process ended".to_owned());
            }
        }
    }

    /// Everything is closed, and the process ends by itself.
    async fn leaves(mut self) -> Result<(), Failed> {
        drop(self.stdin);
        let ended = async {
            while self.lines.next_line().await.is_ok_and(|line| line.is_some()) {}
            self.child.wait().await
        };
        let status = timeout(PATIENCE, ended).await.map_err(|_| "the process does not end")?;
        let status = status.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the process ended with {status}")) }
    }

    async fn dies(mut self) -> Result<(), Failed> {
        self.child.kill().await.map_err(|error| error.to_string())
    }
}

impl std::fmt::Display for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.program.display(), self.args.join(" "))
    }
}
