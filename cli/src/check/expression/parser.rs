//! Words to an assertion.

use std::ops::Range;

use super::lexer::{Spanned, Token, words};
use super::mistake::Mistake;
use super::names;
use super::{Arithmetic, Claim, Counted, Fold, Matcher, Sum, Verdict, What};
use crate::check::verdicts;

/// Parentheses in parentheses, at most: a text from anywhere must not end the program.
const DEEPEST: usize = 32;
const FOLDS: [(&str, Fold); 4] =
    [("min", Fold::Min), ("max", Fold::Max), ("avg", Fold::Avg), ("sum", Fold::Sum)];
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];
/// Any verdict.
const ANY: &str = "verdict";

/// Understands a text.
///
/// # Errors
/// At what is not understood.
pub(super) fn parse(text: &str) -> Result<Claim, Mistake> {
    let mut parser = Parser { text, words: words(text)?, next: 0, depth: 0 };
    let claim = parser.claim()?;
    if parser.next < parser.words.len() {
        if matches!((&claim, parser.peek()), (Claim::Verdict(_), Some(Token::Compare(_)))) {
            return Err(parser.wrong("a verdict is raised or it is not: it is compared with nothing"));
        }
        return Err(parser.wrong(
            "this is left over: an assertion is one comparison, so give each as an argument of its own",
        ));
    }
    Ok(claim)
}

struct Parser<'a> {
    text: &'a str,
    words: Vec<Spanned>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn claim(&mut self) -> Result<Claim, Mistake> {
        if self.words.is_empty() {
            return Err(
                self.wrong("nothing is asserted: say something such as 'max(cas_failures_per_batch) < 0.5'")
            );
        }
        if let Some(verdict) = self.verdict()? {
            return Ok(Claim::Verdict(verdict));
        }
        let start = self.next;
        let left = self.sum()?;
        let comparison = match self.peek() {
            Some(Token::Compare(comparison)) => *comparison,
            Some(Token::Assign) => {
                return Err(
                    self.wrong("`=` stands between a label and its value: values are compared with `==`")
                );
            }
            _ => return Err(self.wrong("a comparison is missing here: <, <=, >, >=, == or !=, and a number")),
        };
        self.next += 1;
        let middle = self.next;
        let right = self.sum()?;
        let all = self.span(start).start..self.span(self.next.saturating_sub(1).max(middle)).end;
        if let (Some(a), Some(b)) = (left.dimension(), right.dimension())
            && a != b
        {
            let sentence = format!("on the left are {}, on the right {}", a.name(), b.name());
            return Err(Mistake::new(self.text, all, sentence));
        }
        if left.counted().is_empty() && right.counted().is_empty() {
            let sentence = "this asserts nothing of a process: name a figure, a metric or a verdict (--list has them all)";
            return Err(Mistake::new(self.text, all, sentence.to_owned()));
        }
        Ok(Claim::Compare { left, comparison, right })
    }

    /// `no verdict`, `no NAME`, `NAME`; none if it is something else.
    fn verdict(&mut self) -> Result<Option<Verdict>, Mistake> {
        let Some(Token::Word(first)) = self.peek().cloned() else { return Ok(None) };
        let raised = first != "no";
        if !raised {
            self.next += 1;
        }
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return Err(self.wrong("`no` is followed by `verdict`, or by the name of one"));
        };
        let verdict = verdicts::named(&word);
        if verdict.is_none() && word != ANY {
            if raised {
                return Ok(None);
            }
            let rest = format!("there are {}", verdicts::names().collect::<Vec<_>>().join(", "));
            let known = verdicts::names();
            return Err(self.wrong(names::no_such(
                &format!("there is no verdict `{word}`"),
                &word,
                known,
                &rest,
            )));
        }
        self.next += 1;
        let labels = self.labels(&format!("`{word}`"), &names::verdict_labels())?;
        Ok(Some(Verdict { raised, which: verdict, labels }))
    }

    fn sum(&mut self) -> Result<Sum, Mistake> {
        let mut left = self.product()?;
        while let Some(&Token::Arithmetic(sign @ (Arithmetic::Add | Arithmetic::Subtract))) = self.peek() {
            self.next += 1;
            left = Sum::Two(Box::new(left), sign, Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Sum, Mistake> {
        let mut left = self.factor()?;
        while let Some(&Token::Arithmetic(sign @ (Arithmetic::Multiply | Arithmetic::Divide))) = self.peek() {
            self.next += 1;
            left = Sum::Two(Box::new(left), sign, Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Sum, Mistake> {
        match self.peek().cloned() {
            Some(Token::Number(value, unit)) => {
                self.next += 1;
                Ok(Sum::Number(value, unit))
            }
            Some(Token::Open) => {
                self.next += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    self.next -= 1;
                    return Err(self.wrong("these are too many parentheses in parentheses"));
                }
                let sum = self.sum()?;
                self.close()?;
                self.depth -= 1;
                Ok(sum)
            }
            Some(Token::Word(word)) => self.named(&word),
            _ => Err(self.wrong("a figure, a metric or a number is missing here")),
        }
    }

    /// What begins with a word: a fold, a quantile, or something counted.
    fn named(&mut self, word: &str) -> Result<Sum, Mistake> {
        let opens = self.words.get(self.next + 1).is_some_and(|next| next.token == Token::Open);
        if opens && word != "rate" {
            if let Some(&(_, fold)) = FOLDS.iter().find(|(name, _)| *name == word) {
                return self.fold(word, fold);
            }
            if let Some(&(_, share)) = QUANTILES.iter().find(|(name, _)| *name == word) {
                self.next += 2;
                let at = self.next;
                let counted = self.counted()?;
                if !matches!(counted.what, What::Histogram(_)) {
                    return Err(self.wrong_at(
                        at,
                        format!(
                            "{word} is of a histogram, such as cas_retries or lock_wait_seconds; this is none"
                        ),
                    ));
                }
                self.close()?;
                return Ok(Sum::Quantile(share, counted));
            }
            let known = FOLDS.iter().map(|fold| fold.0).chain(QUANTILES.iter().map(|q| q.0)).chain(["rate"]);
            let rest = format!("there are {}", known.clone().collect::<Vec<_>>().join(", "));
            return Err(self.wrong(names::no_such(
                &format!("there is no `{word}(...)`"),
                word,
                known,
                &rest,
            )));
        }
        let at = self.next;
        let counted = self.counted()?;
        if matches!(counted.what, What::Histogram(_)) {
            return Err(
                self.wrong_at(at, "this is a histogram: take p50, p90, p99 or p999 of it, such as p99(...)")
            );
        }
        Ok(Sum::Each(counted))
    }

    fn fold(&mut self, word: &str, fold: Fold) -> Result<Sum, Mistake> {
        self.next += 2;
        let at = self.next;
        let counted = self.counted()?;
        match counted.what {
            What::Histogram(_) => {
                return Err(self.wrong_at(
                    at,
                    format!("this is a histogram, which has no {word}: take p50, p90, p99 or p999 of it"),
                ));
            }
            What::Figure(figure) if fold == Fold::Sum && !figure.per.is_empty() => {
                return Err(self.wrong_at(at, "a sum of shares means nothing: take max, min or avg, or the figure alone, which is of everything together"));
            }
            _ => {}
        }
        self.close()?;
        Ok(Sum::Fold(fold, counted))
    }

    /// A name with its labels, or the rate of one.
    fn counted(&mut self) -> Result<Counted, Mistake> {
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return Err(self.wrong("a figure or a metric is missing here"));
        };
        let opens = self.words.get(self.next + 1).is_some_and(|next| next.token == Token::Open);
        if word == "rate" && opens {
            self.next += 2;
            let at = self.next;
            // One level: what stands in a rate is a name.
            let mut counted = self.name()?;
            counted.what = match counted.what {
                What::Counter(metric) => What::Rate(metric),
                What::Event(event) => What::EventRate(event),
                _ => return Err(self.wrong_at(at, "a rate is of a counter; this is none")),
            };
            self.close()?;
            return Ok(counted);
        }
        self.name()
    }

    fn name(&mut self) -> Result<Counted, Mistake> {
        let Some(Token::Word(word)) = self.peek().cloned() else {
            return Err(self.wrong("a figure or a metric is missing here"));
        };
        if word == ANY || verdicts::named(&word).is_some() {
            return Err(self.wrong(format!(
                "`{word}` is a verdict, which has no value: assert `{word}` or `no {word}`"
            )));
        }
        if names::is_events(&word) {
            return self.event(&word);
        }
        let what = names::what(&word).ok_or_else(|| self.wrong(names::unknown(&word)))?;
        self.next += 1;
        let labels = self.labels(&format!("`{word}`"), &names::labels(what))?;
        Ok(Counted { what, labels })
    }

    /// One of the events that `perf_events` has.
    fn event(&mut self, word: &str) -> Result<Counted, Mistake> {
        let at = self.next;
        self.next += 1;
        let mut labels = self.labels(&format!("`{word}`"), &names::event_labels())?;
        let which = labels.iter().position(|matcher| matcher.label == names::EVENT && matcher.equal);
        let event = which.and_then(|which| names::event(&labels.swap_remove(which).value));
        match event {
            Some(event) if labels.iter().all(|matcher| matcher.label != names::EVENT) => {
                Ok(Counted { what: What::Event(event), labels })
            }
            _ => Err(self.wrong_at(at, names::which_event(word))),
        }
    }

    /// What stands in braces, if there are any.
    fn labels(&mut self, of: &str, known: &[&'static str]) -> Result<Vec<Matcher>, Mistake> {
        let mut matchers = Vec::new();
        if self.peek() != Some(&Token::OpenLabels) {
            return Ok(matchers);
        }
        self.next += 1;
        loop {
            if self.peek() == Some(&Token::CloseLabels) {
                self.next += 1;
                return Ok(matchers);
            }
            let Some(Token::Word(word)) = self.peek().cloned() else {
                return Err(self.wrong("a label is missing here, or the closing `}`"));
            };
            let label = known.iter().copied().find(|label| *label == word);
            let label = label.ok_or_else(|| self.wrong(names::no_label(&word, of, known)))?;
            self.next += 1;
            let equal = match self.peek() {
                Some(Token::Assign | Token::Compare(super::Comparison::Equal)) => true,
                Some(Token::Compare(super::Comparison::Unequal)) => false,
                _ => return Err(self.wrong("`=` or `!=` is missing here")),
            };
            self.next += 1;
            let value = match self.peek().cloned() {
                Some(Token::Text(text) | Token::Word(text)) => text,
                Some(Token::Number(value, None)) => value.to_string(),
                _ => return Err(self.wrong("the label's value is missing here, such as \"8192\"")),
            };
            self.next += 1;
            matchers.push(Matcher { label, equal, value });
            match self.peek() {
                Some(Token::Comma) => self.next += 1,
                Some(Token::CloseLabels) => {}
                _ => return Err(self.wrong("`,` or `}` is missing here")),
            }
        }
    }

    fn close(&mut self) -> Result<(), Mistake> {
        if self.peek() != Some(&Token::Close) {
            return Err(self.wrong("`)` is missing here"));
        }
        self.next += 1;
        Ok(())
    }

    fn peek(&self) -> Option<&Token> {
        self.words.get(self.next).map(|word| &word.token)
    }

    fn span(&self, word: usize) -> Range<usize> {
        let end = self.text.len();
        self.words.get(word).map_or(end..end, |word| word.at.clone())
    }

    fn wrong(&self, sentence: impl Into<String>) -> Mistake {
        self.wrong_at(self.next, sentence)
    }

    fn wrong_at(&self, word: usize, sentence: impl Into<String>) -> Mistake {
        Mistake::new(self.text, self.span(word), sentence)
    }
}
